"""Random jobs for bounds on cycles: rows of a few kinds, in any order, for which there are tensors.

The estimates of a kind are any integers that a key's high part can be: its query has a one in a dimension of its own
and zeros elsewhere, the keys have the estimates there. So a job may hold as many kinds as head_dim is at least.
"""

import random
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.blocks.kv_store import pad_keys
from golden.blocks.threshold_filter import filter_tile, valid_mask
from golden.files.tensors import TensorFile, from_arrays
from latte_hw.config import LatteConfig, Rule
from latte_hw.config.dot import DOT_CHOICES, REUSE
from latte_hw.estimate.pattern import Pattern, from_estimates, visible_keys
from latte_hw.params import HeadParams

KINDS = 8
"""Most kinds of rows in a job: the least head_dim."""

WARM = 24
"""Scans of a stream before those that are measured, and at least as many of these."""


@dataclass(frozen=True)
class Job:
    """A head's queries: ``levels`` (kinds, keys) are the estimates of each kind, ``order`` the kind of each query."""

    config: LatteConfig
    levels: NDArray[np.int64]
    order: tuple[int, ...]
    threshold: int
    causal_offset: int

    @property
    def shape(self) -> tuple[int, int]:
        """Queries and keys."""
        return len(self.order), self.levels.shape[1]

    @cached_property
    def pattern(self) -> Pattern:
        valid = visible_keys(self.config, *self.shape, self.causal_offset)
        return from_estimates(self._estimates, float(self.threshold), self.config, valid)

    @property
    def _estimates(self) -> NDArray[np.int64]:
        return self.levels[list(self.order)]

    @property
    def survivors(self) -> NDArray[np.int64]:
        """Keys of each query that pass the early drop, as golden counts them."""
        params = HeadParams(self.config)
        padded = pad_keys(self._estimates.T, params).T.astype(np.float32)
        mask = valid_mask(self.pattern.valid, padded.shape[1])
        return filter_tile(padded, mask, self.threshold, params)[1]

    @property
    def realisable(self) -> bool:
        """Whether the core takes as many queries in one job."""
        return len(self.order) <= self.config.max_keys

    def tensors(self) -> TensorFile:
        """Tensors with these estimates and this threshold."""
        shift, dim = HeadParams(self.config).widths.low_bits, self.config.head_dim
        queries, keys = self.shape
        q, k = np.zeros((1, queries, dim), np.int8), np.zeros((1, keys, dim), np.int8)
        q[0, np.arange(queries), list(self.order)] = 1 << shift
        k[0, :, : len(self.levels)] = self.levels.T << shift
        scales = {f"scale_{name}": np.full(1, 0.02, np.float32) for name in "qkv"}
        offset = {"causal_offset": np.array(self.causal_offset)} if self.config.causal else {}
        arrays = {"q": q, "k": k, "v": k, "tau_int": np.array([self.threshold]), **scales, **offset}
        return from_arrays(arrays, self.config)

    @property
    def description(self) -> dict[str, Any]:
        """What a result file says of it."""
        defaults = LatteConfig().model_dump(mode="json")
        changes = {
            name: value for name, value in self.config.model_dump(mode="json").items() if value != defaults[name]
        }
        kept = self.pattern.kept.sum(axis=1)
        return {"config": changes, "queries": self.shape[0], "keys": self.shape[1],
                "valid": [int(self.pattern.valid.min()), int(self.pattern.valid.max())],
                "kept": [int(kept.min()), int(kept.max())]}  # fmt: skip


def random_job(seed: str, *, decode: bool = False) -> Job:
    """A job of one to some hundred queries; of a step of decoding, one of each query head that shares a core."""
    draw = random.Random(seed)
    config = _config(draw, single=decode)
    if decode:
        config = config.replace(causal=True)
    most = config.max_keys
    keys = draw.choice([most, draw.randint(1, most), min(most, draw.randint(1, 8))])
    if decode:
        return _job(draw, config, keys, draw.randint(1, 8), causal_offset=keys)
    queries = draw.choice([1, 2, 3, draw.randint(1, 8), draw.randint(8, 60), draw.randint(60, 200)])
    queries = min(queries, most)
    lag = draw.choice([keys - queries, 0, -2, keys, draw.randint(-queries, keys)])
    return _job(draw, config, keys, queries, causal_offset=lag)


def repeating_job(seed: str, *, dense: bool = False) -> Job:
    """A stream: a few scans over and over, all queries seeing all keys. It may be longer than a job of the core."""
    draw = random.Random(seed)
    config = _config(draw, most_beats=40).replace(causal=False)
    keys = draw.choice([config.max_keys, draw.randint(1, config.max_keys)])
    keys = draw.choice([keys, min(keys, draw.randint(1, 3 * config.keys_per_cycle))])
    period = 1 if dense else draw.choice([1, 1, 2, 3, 4, 5, 6, 8])  # scans
    times = 2 * -(-WARM // period)
    job = _job(draw, config, keys, period * config.queries_per_scan, causal_offset=keys)
    return Job(config, job.levels, job.order * times, job.threshold, keys)


def _config(draw: random.Random, *, single: bool = False, most_beats: int = 100) -> LatteConfig:
    shared = 1 if single or draw.random() < 0.4 else draw.randint(2, 16)
    lanes = draw.choice([1, 2, 3, 4, 5, 6, 8, 8, 10, 12, 16])
    beats = draw.choice([1, 2, 3, 4, draw.randint(5, 12), draw.randint(5, 40), draw.randint(5, most_beats)])
    return LatteConfig(
        head_dim=draw.choice([8, 8, 8, 12, 16, 20, 32, 36, 64, 96, 100, 128]),
        max_keys=lanes * beats,
        keys_per_cycle=lanes,
        kept_per_cycle=draw.choice([1, 2]) if shared == 1 else 1,
        queries_per_scan=shared,
        causal=draw.random() < 0.5,
        **draw.choice(DOT_CHOICES).fields(),
        **(reuse.fields(REUSE) if (reuse := draw.choice([None, None, *DOT_CHOICES])) else {}),
        kv_buffers=draw.choice([1, 2]),
        msb_bits=draw.choice([4, 4, 4, 2, 3, 5, 8]),
        out_fraction_bits=draw.choice([0, 0, 8]),
        rule=draw.choice([Rule.DIFFERENTIAL, Rule.DIFFERENTIAL, Rule.DIFFERENTIAL, Rule.STATIC]),
    )


def _job(draw: random.Random, config: LatteConfig, keys: int, queries: int, causal_offset: int) -> Job:
    low, high = HeadParams(config).widths.high_range
    spread = high - low
    threshold = draw.choice([0, 0, 1, spread, draw.randint(0, spread)])
    numbers = np.random.default_rng(draw.getrandbits(32))
    kinds = draw.randint(1, KINDS)
    levels = np.stack([_levels(draw, numbers, keys, low, high, threshold) for _ in range(kinds)])
    order = draw.choice(
        [
            [query % kinds for query in range(queries)],  # in turns
            [draw.randrange(kinds) for _ in range(queries)],
            [query * kinds // queries for query in range(queries)],  # in runs
            [0] * queries,
        ]
    )
    if config.rule is Rule.STATIC:
        threshold = draw.randint(low, high)
    return Job(config, levels, tuple(order), threshold, causal_offset)


def _levels(
    draw: random.Random, numbers: np.random.Generator, keys: int, low: int, high: int, threshold: int
) -> NDArray[np.int64]:
    """Estimates of one kind of row: from a single key kept to all, early or late, with survivors that fail or not."""
    fails = max(low, high - threshold - 1)  # survives until the best is seen, is not kept
    part = draw.randint(1, keys)
    anything = numbers.integers(low, high + 1, keys)
    match draw.randrange(8):
        case 0:
            return np.full(keys, high)
        case 1:
            return np.where(np.arange(keys) == draw.randrange(keys), high, low)
        case 2:
            return anything
        case 3:
            return np.sort(anything)
        case 4:
            return np.where(np.arange(keys) == keys - 1, high, np.minimum(anything, fails))
        case 5:
            return np.where(numbers.random(keys) < draw.choice([0.02, 0.1, 0.2]), high, low)
        case 6:
            return np.where(np.arange(keys) >= keys - part, high, fails)
        case _:
            start = draw.randrange(keys)
            return np.where((np.arange(keys) >= start) & (np.arange(keys) < start + part), high, fails)
