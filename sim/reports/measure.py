"""Cycles per query and latency of a simulated run, beside what `HeadParams` promises."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.analysis.cycles import head_cycles, query_cycles
from golden.blocks.threshold_filter import valid_keys
from latte_hw.config import LatteConfig
from latte_hw.params import HeadParams


@dataclass(frozen=True)
class HeadPace:
    """How fast one head went: averages over its queries, in cycles."""

    cycles_per_query: float
    """Mean distance of consecutive output rows."""

    bound: float
    """Mean over the same queries of max(⌈valid / P⌉, ⌈kept / R⌉, F) + c: what the mean distance tends to at most."""

    kept: float
    """Mean number of kept keys."""

    first_latency: int
    """From taking the head's first query, with the core drained, to its output row."""

    latency_bound: int
    """`Bounds.query_latency` of that query."""

    total: int
    """From taking the head's first query to its last output row."""

    total_bound: int
    """`golden.analysis.cycles.head_cycles` of the head."""

    @property
    def within(self) -> bool:
        """Whether the head keeps its bounds, which hold for any number of queries."""
        return self.total <= self.total_bound and self.first_latency <= self.latency_bound


def head_paces(
    results: Mapping[str, NDArray], keep: NDArray[np.bool_], causal_offset: int, config: LatteConfig
) -> list[HeadPace]:
    """One :class:`HeadPace` per head of a run in which the core was drained between heads (and at least 2 queries).

    ``results`` holds ``query_start`` and ``query_cycles``, shape (heads, queries), as `sim.simulate` returns them;
    ``keep`` has shape (heads, queries, keys).
    """
    params = HeadParams(config)
    shared = config.queries_per_scan
    heads, queries, n_keys = keep.shape
    valid = valid_keys(queries, n_keys, causal_offset, params)
    paces = []
    for head in range(heads):
        kept = keep[head].sum(axis=1)
        left, start = results["query_cycles"][head], results["query_start"][head]
        paces.append(
            HeadPace(
                cycles_per_query=float(left[-1] - left[0]) / (queries - 1),
                bound=float(query_cycles(valid, kept, params)[1:].mean()),
                kept=float(kept.mean()),
                first_latency=int(left[0] - start[0]),
                latency_bound=params.bounds.query_latency(
                    int(valid[:shared].max()), int(kept[:shared].max()), min(shared, queries)
                ),
                total=int(left[-1] - start[0]),
                total_bound=head_cycles(valid, kept, params),
            )
        )
    return paces
