"""Rows of results: how a setting does on held-out items, what it prunes, and what that saves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from golden.analysis.metrics import DENSE_SCORE_BITS, bit_operations
from golden.experiments.matching import EQUAL, Matched
from golden.nn.backend import Statistics
from golden.train.interval import paired_interval
from golden.train.model import Measured
from latte_hw.config import LatteConfig
from latte_hw.params import HeadParams

MOST_ITEMS = 64
"""Losses per item are kept for so many items at most."""


@dataclass(frozen=True)
class Costs:
    """Bit operations per dimension: of every valid pair, of a kept pair on top, and of pairs in between."""

    every: int
    kept: int
    formula: str
    between: Callable[[], int] | None = None  # bit operations of a second round, of all items

    @classmethod
    def of(cls, config: LatteConfig) -> "Costs":
        """Of LATTE's own arithmetic, by the formula of :mod:`golden.analysis.metrics`."""
        params = HeadParams(config)
        dim = config.head_dim
        every = bit_operations(1, 0, params).latte // dim
        kept = bit_operations(1, 1, params).latte // dim - every
        return cls.plain(every, kept)

    @classmethod
    def plain(cls, every: int, kept: int) -> "Costs":
        return cls(every, kept, f"{every}·valid + {kept}·kept")

    @classmethod
    def exact(cls, bits: int) -> "Costs":
        """Of an estimate from that many bits whose kept scores are completed to the exact 8-bit product."""
        return cls.plain(bits**2, 2 * DENSE_SCORE_BITS - bits**2)

    def change(self, pairs: Statistics) -> float:
        valid, kept = int(pairs.valid.sum()), int(pairs.kept.sum())
        total = self.every * valid + self.kept * kept + (self.between() if self.between else 0)
        return total / (2 * DENSE_SCORE_BITS * valid) - 1


def judged(measured: Measured, costs: Costs | None, dense: Measured | None) -> dict[str, Any]:
    """The figure, and with ``costs`` what pruning saves; with ``dense`` the change against it."""
    figure = "top_1" if "right" in measured.outcome else "perplexity"
    row: dict[str, Any] = {figure: measured.value, "loss": float(measured.outcome["loss"].mean())}
    if dense is not None:
        row["change"] = measured.value - dense.value
        row["loss_change"] = paired_interval(measured.outcome["loss"], dense.outcome["loss"])
    if costs is not None:
        row["pruned"] = 1 - measured.pairs.keep_ratio
        row["bit_operation_change"] = costs.change(measured.pairs)
        row["bit_operation_formula"] = costs.formula
    if len(measured.outcome["loss"]) <= MOST_ITEMS:
        row["loss_per_item"] = [round(float(x), 6) for x in measured.outcome["loss"]]
    return row


def row(matched: Matched, costs: Costs, dense: Measured, **names: Any) -> dict[str, Any]:
    """A setting that was brought to a share: names, figure, change, shares on both parts, bit operations."""
    return {
        **names,
        **judged(matched.held_out, costs, dense),
        "pruned_on_training": 1 - matched.keep_on_training,
        "setting": round(matched.value, 5),
    }


def equality(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How equal the pruned shares of rows are on held-out items."""
    shares = [one["pruned"] for one in rows]
    spread = max(shares) - min(shares)
    return {"least_pruned": min(shares), "most_pruned": max(shares), "spread": spread, "equal": spread <= EQUAL}


def difference(first: Measured, second: Measured) -> dict[str, Any]:
    """Mean of ``first``'s losses minus ``second``'s on the same items, with its interval: positive, the second is
    better."""
    return paired_interval(first.outcome["loss"], second.outcome["loss"])
