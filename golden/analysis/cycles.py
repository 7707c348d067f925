"""How long the hardware takes, by formula: testbenches hold the measured cycles against it.

The bound for one query is in :class:`latte_hw.params.HeadParams` (``cycles_per_query``, ``query_latency``); here it is
applied to the queries of a whole head, whose numbers of kept keys come from the golden model.
"""

import numpy as np
from numpy.typing import NDArray

from golden.blocks.arith import Array
from latte_hw.params import HeadParams

Floats = NDArray[np.float64]


def query_cycles(valid: Array, kept: Array, params: HeadParams) -> Floats:
    """Bound on what each query adds, back to back: its slowest arm plus a constant, see `cycles_per_query`.

    ``valid`` and ``kept`` hold the number of valid and of kept keys of each query of a head, shape (n_queries,).
    Queries that share a scan share its cycles, which are those of the slowest one, equally.
    """
    if len(valid) != len(kept):
        raise ValueError(f"valid and kept must have one number per query each, not {len(valid)} and {len(kept)}")
    cycles = np.zeros(len(valid), np.float64)
    for scan in _scans(len(valid), params):
        rows = len(valid[scan])
        cycles[scan] = params.bounds.cycles_per_query(int(valid[scan].max()), int(kept[scan].max()), rows) / rows
    return cycles


def head_cycles(valid: Array, kept: Array, params: HeadParams) -> int:
    """Bound on the cycles from taking a head's first query to its last output row, in a drained core whose streams
    never starve and whose output is always taken. Holds for a job of any number of queries, down to one.

    ``valid`` and ``kept`` as in :func:`query_cycles`. Of the stages that a row passes one after the other, each adds
    its longest stay once: that is the latency of a row with the most valid and the most kept keys. Every further scan
    adds its slowest stage. The rows of the last scan leave one per cycle.
    """
    if not len(valid):
        return 0
    scans = _scans(len(valid), params)
    further = sum(
        params.bounds.cycles_per_query(int(valid[scan].max()), int(kept[scan].max()), len(valid[scan]))
        for scan in scans[1:]
    )
    latency = params.bounds.query_latency(int(valid.max()), int(kept.max()), len(valid[scans[0]]))
    return further + latency + len(valid[scans[-1]]) - 1


def _scans(queries: int, params: HeadParams) -> list[slice]:
    """The queries of every scan of a head."""
    shared = params.config.queries_per_scan
    return [slice(first, first + shared) for first in range(0, queries, shared)]
