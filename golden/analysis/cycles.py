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
    """Bound on the cycles between outputs, back to back, of each query: its slowest arm plus a constant.

    ``valid`` and ``kept`` hold the number of valid and of kept keys of each query of a head, shape (n_queries,).
    Queries that share a scan share its cycles, which are those of the slowest one, equally.
    """
    if len(valid) != len(kept):
        raise ValueError(f"valid and kept must have one number per query each, not {len(valid)} and {len(kept)}")
    cycles = np.zeros(len(valid), np.float64)
    for start in range(0, len(valid), params.config.queries_per_scan):
        scan = slice(start, start + params.config.queries_per_scan)
        slowest = params.cycles_per_query(int(valid[scan].max()), int(kept[scan].max()))
        cycles[scan] = slowest / len(valid[scan])
    return cycles


def head_cycles(valid: Array, kept: Array, params: HeadParams) -> int:
    """Bound on the cycles from a head's first query to its last output: every query's, and the longest latency once.

    ``valid`` and ``kept`` as in :func:`query_cycles`.
    """
    if not len(valid):
        return 0
    return round(query_cycles(valid, kept, params).sum()) + params.query_latency(int(valid.max()), int(kept.max()))
