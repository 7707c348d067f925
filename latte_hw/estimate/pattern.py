"""Which keys survive the early drop and which are kept, beat by beat: all that the cycles of a head depend on."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latte_hw.config import CoreConfig, LatteConfig, Rule
from latte_hw.config.errors import LatteError
from latte_hw.config.npz_file import read_npz
from latte_hw.params import ceil_div

SEED = 1
BLOCK_QUERIES = 64
"""Queries whose estimates are held at a time."""

BINS, BINNED = 1 << 14, 16.0
"""Of a quantile's first pass: their number, and the greatest value of one that is not in the outermost."""

NEEDED_OF_DENSE = ("keep", "counters", "k8")
NEEDED = ("estimate", *NEEDED_OF_DENSE, "tau_int")
"""Arrays of a results file that the pattern comes from."""


@dataclass(frozen=True)
class Pattern:
    """One head's queries, in their order. N_q queries, N_b beats of a full row.

    ``survives`` (N_q, N_b): some key of the beat passed the early drop; ``kept`` (N_q, N_b): keys of the beat that are
    kept; ``valid`` (N_q,): keys that the query sees. ``release``: the job releases its K/V buffer.
    """

    survives: NDArray[np.bool_]
    kept: NDArray[np.integer]
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
    blocks = (estimate[first : first + BLOCK_QUERIES] for first in range(0, queries, BLOCK_QUERIES))
    return _from_blocks(blocks, (queries, keys), threshold, config, valid)


def _from_blocks(
    blocks: Iterable[NDArray[Any]],
    shape: tuple[int, int],
    threshold: float,
    config: LatteConfig,
    valid: NDArray[np.int64],
) -> Pattern:
    """The same of estimates that come some queries at a time, so that not all of them need be held."""
    (queries, keys), lanes = shape, config.keys_per_cycle
    beats = max(1, ceil_div(keys, lanes))
    survives, kept = np.empty((queries, beats), np.bool_), np.empty((queries, beats), np.int8)
    first = 0
    for block in blocks:
        rows = slice(first, first + len(block))
        padded = np.full((len(block), beats * lanes), -math.inf)
        padded[:, :keys] = np.where(np.arange(keys) < valid[rows, None], block, -math.inf)
        seen = padded.reshape(len(block), beats, lanes)
        best = np.maximum.accumulate(seen.max(axis=2), axis=1)
        limit = np.minimum(best, threshold) if config.rule is Rule.STATIC else best - threshold
        limit = np.where(np.isneginf(best), math.inf, limit)
        survives[rows] = np.any(seen >= limit[:, :, None], axis=2)
        kept[rows] = (seen >= limit[:, -1:, None]).sum(axis=2)
        first += len(block)
    return Pattern(survives, kept, valid)


def typical(config: LatteConfig, queries: int, keys: int, keep: float, seed: int = SEED) -> Pattern:
    """A made-up pattern: estimates drawn from a normal distribution, spread evenly over the keys of every query, and
    the threshold that keeps the share ``keep`` of all valid pairs. The estimates are drawn anew each time that they are
    needed, a few queries at a time."""
    if not 0 < keep <= 1:
        raise LatteError(f"the keep ratio must be above 0 and at most 1, not {keep:g}")
    valid = visible_keys(config, queries, keys)

    def estimates() -> Iterator[NDArray[np.float64]]:
        numbers = np.random.default_rng(seed)
        for first in range(0, queries, BLOCK_QUERIES):
            yield numbers.standard_normal((min(BLOCK_QUERIES, queries - first), keys))

    def judged() -> Iterator[NDArray[np.float64]]:
        """Of the valid pairs, what the rule compares with the threshold."""
        first = 0
        for estimate in estimates():
            mask = np.arange(keys) < valid[first : first + len(estimate), None]
            first += len(estimate)
            if config.rule is Rule.STATIC:
                yield estimate[mask]
            else:
                best = np.where(mask, estimate, -math.inf).max(axis=1, keepdims=True)
                yield np.broadcast_to(best, estimate.shape)[mask] - estimate[mask]

    share = 1 - keep if config.rule is Rule.STATIC else keep
    threshold = quantile(judged, share) if valid.any() else 0.0
    return _from_blocks(estimates(), (queries, keys), threshold, config, valid)


def quantile(values: Callable[[], Iterable[NDArray[np.float64]]], share: float) -> float:
    """`np.quantile` of values that come in blocks, equal to the last bit; ``values`` is called twice.

    The first pass counts them in bins of equal width, the second holds those of the bins that the quantile lies in.
    Values beyond ±`BINNED` share the outermost bins: many of them cost memory, no accuracy.
    """
    counts = np.zeros(BINS, np.int64)
    for block in values():
        counts += np.bincount(_bins(block), minlength=BINS)
    up_to = np.cumsum(counts)
    rank = share * float(up_to[-1] - 1)
    below = math.floor(rank)
    first, last = (int(np.searchsorted(up_to, item, side="right")) for item in (below, min(below + 1, up_to[-1] - 1)))
    near = []
    for block in values():
        bins = _bins(block)
        near.append(block[(first <= bins) & (bins <= last)])
    ordered = np.sort(np.concatenate(near))
    item = below - int(up_to[first - 1] if first else 0)
    return float(np.quantile(ordered[item : item + 2], rank - below))


def _bins(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which bin each value is in; a greater value is in no lower one."""
    return np.clip((values + BINNED) * (BINS / (2 * BINNED)), 0, BINS - 1).astype(np.int64)


def everything(valid: NDArray[np.int64]) -> Pattern:
    """The pattern of a dense core, which keeps every valid key and reads one at a time."""
    mask = np.arange(max(1, int(valid.max()))) < valid[:, None]
    return Pattern(survives=mask, kept=mask.astype(np.int64), valid=valid)


def of_results(path: Path, config: CoreConfig) -> list[Pattern]:
    """The pattern of every head in a file that `latte golden` or `latte simulate` wrote.

    Of a dense core only the valid keys matter. Raises :class:`LatteError` when the file lacks something, or is of
    another configuration.
    """
    needed = NEEDED if isinstance(config, LatteConfig) else NEEDED_OF_DENSE
    found = read_npz(path, needed, "results file", lambda arrays: _check_results(path, arrays, needed, config))
    keep = found["keep"]
    group = len(keep) // len(found["k8"])
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


def _check_results(path: Path, arrays: Mapping[str, NDArray[Any]], needed: Sequence[str], config: CoreConfig) -> None:
    """:class:`LatteError` unless the arrays are there, of shapes that go together and fit the configuration."""
    if missing := [name for name in needed if name not in arrays]:
        raise LatteError(f"{path} has no {missing[0]}: give a file that latte golden has written")
    shapes = {name: arrays[name].shape for name in needed}
    pairs, k8 = shapes["keep"], shapes["k8"]
    rows = {"estimate": pairs, "counters": (*pairs[:1], *shapes["counters"][1:]), "tau_int": pairs[:1]}
    agree = all(shapes[name] == rows.get(name, shapes[name]) for name in needed) and len(rows["counters"]) == 2
    numbers = all(arrays[name].dtype.kind in "iub" for name in needed)
    if len(pairs) != 3 or len(k8) != 3 or 0 in (*pairs, *k8) or not agree or not numbers:
        raise LatteError(f"{path} holds no results of attention: give a file that latte golden has written")
    if pairs[0] % k8[0] or pairs[2] != k8[1]:
        raise LatteError(f"{path} has keep for {pairs[:1] + pairs[2:]} heads and keys, but k8 for {k8[:2]}")
    if pairs[2] > config.max_keys:
        raise LatteError(f"{path} has {pairs[2]} keys, more than the {config.max_keys} of the configuration")


def _valid(queries: int, keys: int, seen: int, config: CoreConfig) -> NDArray[np.int64]:
    """Valid keys of every query, from their sum: results do not hold the causal offset."""
    offsets = range(-queries, keys)
    fitting = (visible_keys(config, queries, keys, offset) for offset in offsets)
    return next((valid for valid in fitting if valid.sum() == seen), visible_keys(config, queries, keys))
