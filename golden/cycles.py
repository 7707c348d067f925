"""How long the hardware takes, by formula: testbenches hold the measured cycles against it.

The law of one query is in :class:`latte_hw.params.HeadParams` (``cycles_per_query``, ``query_latency``); here it is
applied to the queries of a whole head, whose numbers of kept keys come from the golden model.
"""

import numpy as np

from golden.arith import Array, Int64
from latte_hw.params import HeadParams


def query_cycles(valid: Array, kept: Array, params: HeadParams) -> Int64:
    """Bound on the cycles between outputs, back to back, of each query: its slowest arm plus a constant.

    ``valid`` and ``kept`` hold the number of valid and of kept keys of each query, shape (n_queries,).
    """
    pairs = zip(valid, kept, strict=True)
    return np.array([params.cycles_per_query(int(seen), int(count)) for seen, count in pairs], np.int64)


def head_cycles(valid: Array, kept: Array, params: HeadParams) -> int:
    """Bound on the cycles from a head's first query to its last output: every query's, and the longest latency once.

    ``valid`` and ``kept`` as in :func:`query_cycles`.
    """
    latencies = [params.query_latency(int(seen), int(count)) for seen, count in zip(valid, kept, strict=True)]
    return int(query_cycles(valid, kept, params).sum()) + max(latencies, default=0)
