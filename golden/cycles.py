"""How long the hardware takes, by formula: testbenches hold the measured cycles against it.

A query passes three overlapped stages: the estimator (P keys per cycle), reuse (one kept key per cycle) and the
preparation of the next query. The slowest sets the pace. Constants are in :class:`latte_hw.params.HeadParams`.
"""

import numpy as np

from golden.arith import Array, Int64
from latte_hw.params import HeadParams, ceil_div


def query_cycles(valid: Array, kept: Array, params: HeadParams) -> Int64:
    """Most cycles of each query, back to back: ``max(⌈valid / P⌉, kept, F) + c``; any shape, whole numbers."""
    beats = -(-np.asarray(valid, np.int64) // params.config.keys_per_cycle)
    slowest = np.maximum(np.maximum(beats, kept), params.query_prepare_cycles)
    return slowest.astype(np.int64) + params.cycle_slack


def head_cycles(valid: Array, kept: Array, params: HeadParams) -> int:
    """Most cycles from one head's first query to its last output; ``valid`` and ``kept`` have shape (n_queries,).

    The pace of every query, plus the latency of filling the stages once.
    """
    if len(valid) == 0:
        return 0
    filling = single_query_latency(int(valid[-1]), int(kept[-1]), params)
    return int(query_cycles(valid, kept, params).sum()) + filling


def single_query_latency(valid: int, kept: int, params: HeadParams) -> int:
    """Most cycles from a query's acceptance to its output in an idle core: ``F + ⌈valid / P⌉ + kept + constant``."""
    beats = ceil_div(valid, params.config.keys_per_cycle)
    return params.query_prepare_cycles + beats + kept + params.latency_constant
