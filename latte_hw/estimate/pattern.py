"""Which keys survive the early drop and which are kept, beat by beat: all that the cycles of a head depend on."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latte_hw.config import CoreConfig, LatteConfig, Rule
from latte_hw.config.errors import LatteError
from latte_hw.params import ceil_div

SEED = 1
NEEDED_OF_DENSE = ("keep", "counters", "k8")
NEEDED = ("estimate", *NEEDED_OF_DENSE, "tau_int")
"""Arrays of a results file that the pattern comes from."""


@dataclass(frozen=True)
class Pattern:
    """One head's queries, in their order. N_q queries, N_b beats of a full row.

    ``survives`` (N_q, N_b): some key of the beat passed the early drop; ``kept`` (N_q, N_b): keys of the beat that are
    kept; ``valid`` (N_q,): keys that the query sees. ``release``: the job gives its K/V buffer back.
    """

    survives: NDArray[np.bool_]
    kept: NDArray[np.int64]
    valid: NDArray[np.int64]
    release: bool = True

    @property
    def queries(self) -> int:
        return len(self.valid)

    @cached_property
    def kept_keys(self) -> int:
        return int(self.kept.sum())

    @cached_property
    def valid_keys(self) -> int:
        return int(self.valid.sum())

    @property
    def keep_ratio(self) -> float:
        return self.kept_keys / self.valid_keys if self.valid_keys else 0.0


def visible_keys(config: CoreConfig, queries: int, keys: int, causal_offset: int | None = None) -> NDArray[np.int64]:
    """Valid keys of every query; with `causal` query i sees keys j <= i + offset, which is keys − queries unless
    given."""
    if not config.causal:
        return np.full(queries, keys, np.int64)
    offset = keys - queries if causal_offset is None else causal_offset
    return np.clip(np.arange(queries) + offset + 1, 0, keys).astype(np.int64)


def from_estimates(estimate: NDArray[Any], threshold: float, config: LatteConfig, valid: NDArray[np.int64]) -> Pattern:
    """The pattern of estimates (N_q, N_k) under a threshold, by the rules of the filter."""
    queries, keys = estimate.shape
    lanes = config.keys_per_cycle
    beats = max(1, ceil_div(keys, lanes))
    padded = np.full((queries, beats * lanes), -math.inf)
    padded[:, :keys] = np.where(np.arange(keys) < valid[:, None], estimate, -math.inf)
    seen = padded.reshape(queries, beats, lanes)
    best = np.maximum.accumulate(seen.max(axis=2), axis=1)
    limit = np.minimum(best, threshold) if config.rule is Rule.STATIC else best - threshold
    limit = np.where(np.isneginf(best), math.inf, limit)
    return Pattern(
        survives=np.any(seen >= limit[:, :, None], axis=2),
        kept=(seen >= limit[:, -1:, None]).sum(axis=2).astype(np.int64),
        valid=valid,
    )


def typical(config: LatteConfig, queries: int, keys: int, keep: float, seed: int = SEED) -> Pattern:
    """A made-up pattern: estimates drawn from a normal distribution, spread evenly over the keys of every query, and
    the threshold that keeps the share ``keep`` of all valid pairs."""
    if not 0 < keep <= 1:
        raise LatteError(f"the keep ratio must be above 0 and at most 1, not {keep:g}")
    valid = visible_keys(config, queries, keys)
    estimate = np.random.default_rng(seed).standard_normal((queries, keys))
    mask = np.arange(keys) < valid[:, None]
    if config.rule is Rule.STATIC:
        threshold = float(np.quantile(estimate[mask], 1 - keep)) if mask.any() else 0.0
        return from_estimates(estimate, threshold, config, valid)
    best = np.where(mask, estimate, -math.inf).max(axis=1, keepdims=True)
    distance = np.broadcast_to(best, estimate.shape)[mask] - estimate[mask]
    return from_estimates(estimate, float(np.quantile(distance, keep)) if mask.any() else 0.0, config, valid)


def everything(valid: NDArray[np.int64]) -> Pattern:
    """The pattern of a dense core, which keeps every valid key and reads one at a time."""
    mask = np.arange(max(1, int(valid.max()))) < valid[:, None]
    return Pattern(survives=mask, kept=mask.astype(np.int64), valid=valid)


def of_results(path: Path, config: CoreConfig) -> list[Pattern]:
    """The pattern of every head in a file that `latte golden` or `latte simulate` wrote.

    Of a dense core only the valid keys matter. Raises :class:`LatteError` when the file lacks something, or is of
    another configuration.
    """
    try:
        with np.load(path) as arrays:
            needed = NEEDED if isinstance(config, LatteConfig) else NEEDED_OF_DENSE
            if missing := [name for name in needed if name not in arrays]:
                raise LatteError(f"{path} has no {missing[0]}: give a file that latte golden has written")
            found = {name: arrays[name] for name in needed}
    except OSError as error:
        raise LatteError(f"{path} cannot be read: {error}") from None
    keep = found["keep"]
    group = len(keep) // len(found["k8"])
    if keep.shape[2] > config.max_keys:
        raise LatteError(f"{path} has {keep.shape[2]} keys, more than the {config.max_keys} of the configuration")
    heads = []
    for number, seen in enumerate(found["counters"][:, 0]):
        valid = _valid(keep.shape[1], keep.shape[2], int(seen), config)
        if not isinstance(config, LatteConfig):
            heads.append(everything(valid))
            continue
        pattern = from_estimates(found["estimate"][number], float(found["tau_int"][number]), config, valid)
        if pattern.valid_keys != seen or (pattern.kept.sum(axis=1) != keep[number].sum(axis=1)).any():
            raise LatteError(f"head {number} of {path} keeps other keys than this configuration would")
        heads.append(replace(pattern, release=(number + 1) % group == 0))
    return heads


def _valid(queries: int, keys: int, seen: int, config: CoreConfig) -> NDArray[np.int64]:
    """Valid keys of every query, from their sum: results do not tell the causal offset."""
    offsets = range(-queries, keys)
    fitting = (visible_keys(config, queries, keys, offset) for offset in offsets)
    return next((valid for valid in fitting if valid.sum() == seen), visible_keys(config, queries, keys))
