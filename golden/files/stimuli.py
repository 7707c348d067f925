"""Seeded input traces: random ones with the structure of real attention, and named corners.

Every function returns the arrays of a tensor file (:mod:`golden.files.tensors`) and depends only on its arguments.
Numbers come from ``numpy.random.Generator(PCG64(seed))``.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from golden.blocks.arith import Array, split
from golden.blocks.estimator import estimate
from golden.blocks.quantize import INT8_MIN, head_scales, quantize
from golden.blocks.threshold_filter import valid_keys, valid_mask
from latte_hw.config import CoreConfig, Rule
from latte_hw.params.dense import params_of

RNG_NAME = "numpy.random.PCG64"

Trace = dict[str, Array]


def generator(seed: int) -> np.random.Generator:
    """The random number generator of every trace."""
    return np.random.Generator(np.random.PCG64(seed))


def random_trace(
    config: CoreConfig,
    seed: int,
    heads: int,
    kv_heads: int,
    n_queries: int,
    n_keys: int,
    keep: float = 0.15,
) -> Trace:
    """Float32 q, k, v and thresholds that keep about the share ``keep`` of valid pairs of every head.

    As in trained models, keys have a common mean, a few outlier channels and topics; queries look for topics, and
    the first key attracts all of them.
    """
    rng = generator(seed)
    dim = config.head_dim
    topics = rng.standard_normal((kv_heads, 8, dim))
    wanted = rng.integers(0, 8, (heads, n_queries))
    held = rng.integers(0, 8, (kv_heads, n_keys))
    outliers = 1 + 3 * (rng.random((kv_heads, 1, dim)) < 0.05)
    of_query = np.arange(heads) // (heads // kv_heads)  # (H,) K/V head
    k = np.take_along_axis(topics, held[:, :, None], axis=1) + rng.standard_normal((kv_heads, n_keys, dim))
    k = k * outliers + rng.standard_normal((kv_heads, 1, dim))
    q = np.take_along_axis(topics[of_query], wanted[:, :, None], axis=1) + rng.standard_normal((heads, n_queries, dim))
    q = 0.5 * q  # logits of a few units, as trained models have
    k[:, 0] += q.reshape(kv_heads, -1, dim).mean(axis=1)  # the first key is everyone's second best
    v = rng.standard_normal((kv_heads, n_keys, dim)) * (1 + rng.random((kv_heads, 1, dim)))
    trace: Trace = {name: x.astype(np.float32) for name, x in (("q", q), ("k", k), ("v", v))}
    return trace | _thresholds(trace, config, keep)


def _thresholds(trace: Trace, config: CoreConfig, keep: float) -> Trace:
    """``tau`` (differential) or ``tau_int`` (static) at the quantile of each head's estimates that keeps ``keep``."""
    params = params_of(config)
    q, k = trace["q"], trace["k"]
    scale_q, scale_k = head_scales(q, params), head_scales(k, params)
    q_high, k_high = split(quantize(q, scale_q, params), params)[0], split(quantize(k, scale_k, params), params)[0]
    counts = valid_keys(q.shape[1], k.shape[1], k.shape[1] - q.shape[1], params)
    valid = valid_mask(counts, k.shape[1])
    tau = np.zeros(len(q), np.float64)
    for head in range(len(q)):
        kv_head = head // (len(q) // len(k))
        e = estimate(q_high[head], k_high[kv_head], params)
        if not valid.any():
            continue
        if params.config.rule is Rule.STATIC:
            tau[head] = np.floor(np.quantile(e[valid], 1 - keep))
            continue
        best = np.where(valid, e, -np.inf).max(axis=1, keepdims=True)
        distance = np.broadcast_to(best, e.shape)[valid] - e[valid]
        steps = np.floor(np.quantile(distance, keep)) + 0.5  # half a step above, so that rounding to float32 is safe
        step = float(scale_q[head]) * float(scale_k[kv_head]) * 4.0**params.widths.low_bits / math.sqrt(config.head_dim)
        tau[head] = steps * step
    return {"tau_int": tau.astype(np.int64)} if params.config.rule is Rule.STATIC else {"tau": tau.astype(np.float32)}


def _small(config: CoreConfig, seed: int, n_queries: int | None = None, n_keys: int | None = None) -> Trace:
    """A random trace of two query heads on one K/V head, three beats of keys and one more key, if they fit."""
    fitting = min(3 * params_of(config).config.keys_per_cycle + 1, config.max_keys)
    n_keys = fitting if n_keys is None else n_keys
    return random_trace(config, seed, 2, 1, n_keys if n_queries is None else n_queries, n_keys)


def _with_registers(trace: Trace, value: int) -> Trace:
    return {name: x for name, x in trace.items() if name != "tau"} | {"tau_int": np.full(len(trace["q"]), value)}


def zero_rows(config: CoreConfig, seed: int) -> Trace:
    """Some queries, keys and values are zero."""
    trace = _small(config, seed)
    for name in ("q", "k", "v"):
        trace[name][:, ::2] = 0
    return trace


def all_ties(config: CoreConfig, seed: int) -> Trace:
    """All keys are equal: every one ties for the best, even at threshold 0."""
    trace = _small(config, seed)
    trace["k"][:] = trace["k"][:, :1]
    return _with_registers(trace, 0)


def one_key(config: CoreConfig, seed: int) -> Trace:
    """n_keys = 1; under `causal`, all queries but the last see none."""
    return _small(config, seed, n_queries=min(3, config.max_keys), n_keys=1)


def tau_zero(config: CoreConfig, seed: int) -> Trace:
    """Threshold register 0: with `differential` only ties for the best are kept."""
    return _with_registers(_small(config, seed), 0)


def tau_maximum(config: CoreConfig, seed: int) -> Trace:
    """Greatest threshold register: with `differential` every valid key is kept, with `static` only the best."""
    return _with_registers(_small(config, seed), params_of(config).widths.threshold_range[1])


def tau_minimum(config: CoreConfig, seed: int) -> Trace:
    """Least threshold register: with `static` every valid key is kept."""
    return _with_registers(_small(config, seed), params_of(config).widths.threshold_range[0])


def saturating(config: CoreConfig, seed: int) -> Trace:
    """int8 at its limits: every element is the least or the greatest value, whole rows of one sign among them."""
    rng = generator(seed)
    params = params_of(config)
    tokens = min(2 * params_of(config).config.keys_per_cycle, config.max_keys)

    def limits(tensor: str, heads: int) -> NDArray[np.int8]:
        greatest = params.widths.greatest(tensor)
        x = np.where(rng.random((heads, tokens, config.head_dim)) < 0.5, INT8_MIN, greatest).astype(np.int8)
        x[:, 0], x[:, -1] = INT8_MIN, greatest
        return x

    trace: Trace = {
        "q": limits("q", 2),
        "k": limits("k", 1),
        "v": limits("v", 1),
        "tau_int": np.full(2, params.widths.threshold_range[1]),
    }
    return trace | {"scale_q": _ones(2) / 64, "scale_k": _ones(1) / 64, "scale_v": _ones(1)}


def partial_beat(config: CoreConfig, seed: int) -> Trace:
    """n_keys is one less than whole beats (with one key per cycle: an odd number)."""
    return _small(config, seed, n_keys=max(1, min(2 * params_of(config).config.keys_per_cycle, config.max_keys) - 1))


def fewer_queries(config: CoreConfig, seed: int) -> Trace:
    """n_queries < n_keys: a positive causal offset, as in decoding with a cache."""
    return _small(config, seed, n_queries=min(2, config.max_keys))


def more_queries(config: CoreConfig, seed: int) -> Trace:
    """n_queries > n_keys: a negative causal offset, so that the first causal queries see no key."""
    n_keys = max(1, min(2 * params_of(config).config.keys_per_cycle, config.max_keys // 2))
    return _small(config, seed, n_queries=min(n_keys + 3, config.max_keys), n_keys=n_keys)


def full(config: CoreConfig, seed: int) -> Trace:
    """One head with every key that fits, and a few queries."""
    return random_trace(config, seed, 1, 1, min(4, config.max_keys), config.max_keys)


def _ones(heads: int) -> NDArray[np.float32]:
    return np.ones(heads, np.float32)


CORNERS: dict[str, Callable[[CoreConfig, int], Trace]] = {
    corner.__name__: corner
    for corner in (
        zero_rows,
        all_ties,
        one_key,
        tau_zero,
        tau_maximum,
        tau_minimum,
        saturating,
        partial_beat,
        fewer_queries,
        more_queries,
        full,
    )
}
"""Named corner to its trace, from a configuration and a seed."""
