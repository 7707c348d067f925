"""One attention head through every stage: estimate, filter, reuse, softmax, weighted sum.

Queries are taken in tiles, so that what lives between the stages stays in the processor's cache; a causal tile stops
at its last valid key. Tiling does not show in any result.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.blocks.arith import Int8, Int64, split
from golden.blocks.estimator import estimate
from golden.blocks.kv_store import pad_keys
from golden.blocks.reuse_datapath import key_operand, query_operand, scores
from golden.blocks.softmax import weights
from golden.blocks.threshold_filter import Mask, filter_tile, valid_keys, valid_mask
from golden.blocks.weighted_sum import weighted_sum
from latte_hw.params import HeadParams, ceil_div

COUNTER_NAMES = ("keys_seen", "survivors", "kept")
"""Counters of a head: valid query-key pairs, those that pass the early drop, those that are kept."""

TILE_PAIRS = 2**17
"""Query-key pairs of one tile: half a megabyte of float32, so that a few such arrays fit a core's cache."""


@dataclass(frozen=True)
class HeadRegisters:
    """What the hardware holds per query head."""

    tau: int  # threshold, in steps of the estimate
    mantissa: int  # softmax scale
    shift: int


@dataclass(frozen=True)
class HeadResult:
    """Arrays that :func:`run_head` fills; all zero before. Nq queries, Nk keys."""

    estimate: NDArray[np.int32]  # (Nq, Nk), 0 where invalid
    keep: Mask  # (Nq, Nk)
    score: NDArray[np.int32]  # (Nq, Nk), 0 where dropped
    prob: NDArray[np.uint16]  # (Nq, Nk), 0 where dropped
    out: NDArray[np.int16]  # (Nq, D)
    counters: Int64  # (3,), named by COUNTER_NAMES

    @classmethod
    def empty(cls, n_queries: int, n_keys: int, head_dim: int) -> "HeadResult":
        """Arrays of their own for one head."""
        pairs = (n_queries, n_keys)
        return cls(
            estimate=np.zeros(pairs, np.int32),
            keep=np.zeros(pairs, bool),
            score=np.zeros(pairs, np.int32),
            prob=np.zeros(pairs, np.uint16),
            out=np.zeros((n_queries, head_dim), np.int16),
            counters=np.zeros(len(COUNTER_NAMES), np.int64),
        )


def run_head(
    q8: Int8,
    k8: Int8,
    v8: Int8,
    registers: HeadRegisters,
    causal_offset: int,
    params: HeadParams,
    result: HeadResult,
) -> None:
    """Compute one head into ``result``. q8 has shape (Nq, head_dim), k8 and v8 (Nk, head_dim), int8."""
    n_queries, n_keys = len(q8), len(k8)
    lanes = params.config.keys_per_cycle
    q_high, q_low = split(q8, params)
    k8, v8 = pad_keys(k8, params), pad_keys(v8, params)
    k_high, k_low = split(k8, params)
    q_operand, k_operand = query_operand(q_high, q_low, params), key_operand(k_high, k_low, params)
    q_high, k_high, v = (part.astype(np.float32) for part in (q_high, k_high, v8))  # type: ignore[assignment]
    counts = valid_keys(n_queries, n_keys, causal_offset, params)  # (Nq,)
    step = max(1, TILE_PAIRS // n_keys)
    for start in range(0, n_queries, step):
        rows = slice(start, min(start + step, n_queries))
        seen = int(counts[rows].max())  # no query of this tile sees more keys
        if seen == 0:
            continue
        padded = ceil_div(seen, lanes) * lanes
        e = estimate(q_high[rows], k_high[:padded], params)  # (rows, padded)
        valid = valid_mask(counts[rows], padded)
        keep, survivors = filter_tile(e, valid, registers.tau, params)
        score = scores(e, q_operand[rows], k_operand[:padded], keep, params)
        prob = weights(score, keep, registers.mantissa, registers.shift, params)
        np.multiply(e[:, :seen], valid[:, :seen], out=result.estimate[rows, :seen], casting="unsafe")
        result.keep[rows, :seen] = keep[:, :seen]
        result.score[rows, :seen] = score[:, :seen]
        result.prob[rows, :seen] = prob[:, :seen]
        result.out[rows] = weighted_sum(prob, v[:padded], params)
        result.counters[:] += (counts[rows].sum(), survivors.sum(), np.count_nonzero(keep))
