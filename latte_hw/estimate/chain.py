"""When the queries of a LATTE head move through its blocks, cycle by cycle, from latencies and depths alone.

Exact for streams that never starve and an output that is always taken. The control of every block is repeated here as
conditions between times (see :mod:`latte_hw.estimate.queues`); the data path enters by its latencies. Row by row, every
condition refers to earlier items or to earlier stages; the few that refer to later stages of the same row (a queue that
fills up within it) are met by repeating the row until nothing changes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from latte_hw.config import LatteConfig
from latte_hw.estimate.lane import Lane
from latte_hw.estimate.pattern import Pattern
from latte_hw.estimate.queues import NEVER_BINDS, one_per_cycle
from latte_hw.estimate.rows import Row
from latte_hw.params import HeadParams


def output_cycles(pattern: Pattern, config: LatteConfig) -> NDArray[np.int64]:
    """The cycle in which each output row of a single job leaves, counted from the one in which its first query is
    taken."""
    params = HeadParams(config)
    per_scan = config.queries_per_scan
    lanes = [Lane(params) for _ in range(per_scan)]
    out = np.zeros(pattern.queries, np.int64)
    query, sent, left = -1, NEVER_BINDS, NEVER_BINDS
    for first in range(0, pattern.queries, per_scan):
        part = lanes[: pattern.queries - first]
        # all queries of a scan get as many beats as the one that sees most keys
        beats = params.widths.beats(int(pattern.valid[first : first + per_scan].max()))
        for index, lane in enumerate(part):
            releases = pattern.release and first + index == pattern.queries - 1
            with_row = lanes[index:] if releases else [lane]
            query = max(query + 1, 0, lane.query_space(), *(one.row_space() for one in with_row))
            lane.take(query, row_of(pattern, first + index, beats, params))
        offered = max(lane.offered() for lane in part)
        for lane in part:
            lane.prepare(offered)
        sent = _scan(part, sent)
        for index, lane in enumerate(part):
            left = out[first + index] = lane.leave(left)
    return out + params.pipeline.behind_blocks


def row_of(pattern: Pattern, query: int, beats: int, params: HeadParams) -> Row:
    """What of a query concerns its lane, in a scan of so many beats."""
    needed = pattern.survives[query, :beats].copy()
    needed[-1] = True  # it ends the row
    kept = pattern.kept[query, :beats][needed].astype(np.int64)
    return Row(needed, kept, params.config.kept_per_cycle)


def _scan(lanes: Sequence[Lane], before: int) -> int:
    """One scan, after one whose last beat was sent at ``before``; when its own is."""
    started = max(before, *(lane.prepared for lane in lanes))
    for lane in lanes:
        lane.scan_started[lane.number] = started
    settled = False
    while not settled:
        conditions = np.maximum.reduce([lane.beat_credits() for lane in lanes])
        conditions[0] = max(conditions[0], started + 1)
        sent = one_per_cycle(conditions, before)
        followed = [lane.follow(sent) for lane in lanes]
        settled = all(followed)
    for lane in lanes:
        lane.close()
    return int(sent[-1])
