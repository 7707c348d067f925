"""How much work pruning saves: keep ratio and bit operations.

Bit operations count an a×b-bit multiplication as a·b, per query-key pair and dimension:

* dense int8: 64 for Q·Kᵀ and 64 for A·V, 128 in all;
* LATTE: M·M for the estimate of every valid key, and for a kept key ``2·M·L`` (`three_term`) or ``2·M·L + L·L``
  (`exact`) to complete the score, and 64 for A·V.

With M = 4, `three_term` and 14.84 % of keys kept this gives −76.37 %, the figure of arXiv 2404.07519.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from golden.blocks.arith import Array
from latte_hw.config import TOTAL_BITS, Reuse
from latte_hw.params import HeadParams

DENSE_SCORE_BITS = TOTAL_BITS * TOTAL_BITS
"""Bit operations of one 8×8-bit multiplication."""


@dataclass(frozen=True)
class BitOperations:
    """Bit operations of one attention call, dense int8 and LATTE, over the same pairs."""

    dense: int
    latte: int
    formula: str

    @property
    def change(self) -> float:
        """Relative change, negative when LATTE does less: −0.7637 is −76.37 %."""
        return self.latte / self.dense - 1


def keep_ratio(keys_seen: int, kept: int) -> float:
    """Kept pairs over valid pairs; masked pairs are in neither. 0 when no pair is valid."""
    return kept / keys_seen if keys_seen else 0.0


def estimate_bit_operations(params: HeadParams) -> int:
    """Per valid key and dimension: M·M."""
    return params.config.msb_bits**2


def kept_bit_operations(params: HeadParams) -> int:
    """Per kept key and dimension, on top of the estimate: the rest of the score, and A·V."""
    crossed = 2 * params.config.msb_bits * params.widths.low_bits
    low_low = params.widths.low_bits**2 if params.config.reuse is Reuse.EXACT else 0
    return crossed + low_low + DENSE_SCORE_BITS


def bit_operations(keys_seen: int, kept: int, params: HeadParams, dense_pairs: int | None = None) -> BitOperations:
    """Bit operations for ``keys_seen`` valid pairs of which ``kept`` are kept.

    ``dense_pairs`` is what the dense baseline computes: the same valid pairs by default; all pairs of a causal call
    if it is held against an unmasked baseline. Raises :class:`ValueError` when there is nothing to compare.
    """
    pairs = keys_seen if dense_pairs is None else dense_pairs
    if pairs <= 0 or not 0 <= kept <= keys_seen:
        raise ValueError(f"kept must be from 0 to keys_seen and pairs above 0, not {kept}, {keys_seen} and {pairs}")
    dim = params.config.head_dim
    every, extra = estimate_bit_operations(params), kept_bit_operations(params)
    baseline = "valid" if dense_pairs is None else "all"
    return BitOperations(
        dense=2 * DENSE_SCORE_BITS * dim * pairs,
        latte=dim * (every * keys_seen + extra * kept),
        formula=f"({every}·valid + {extra}·kept) / ({2 * DENSE_SCORE_BITS}·{baseline}), pairs of query and key",
    )


def summarize(results: Mapping[str, Array], params: HeadParams) -> dict[str, object]:
    """Keep ratio and bit operations of what :func:`golden.attention.attention` returned, ready for JSON."""
    keys_seen, survivors, kept = (int(column) for column in results["counters"].sum(axis=0))
    heads, queries, _ = results["q8"].shape
    summary: dict[str, object] = {
        "heads": heads,
        "kv_heads": len(results["k8"]),
        "queries": queries,
        "keys": results["k8"].shape[1],
        "keys_seen": keys_seen,
        "survivors": survivors,
        "kept": kept,
        "keep_ratio": keep_ratio(keys_seen, kept),
    }
    if keys_seen:
        operations = bit_operations(keys_seen, kept, params)
        summary["bit_operation_change"] = operations.change
        summary["bit_operation_formula"] = operations.formula
    return summary
