"""When the blocks of queries of a dense core move, cycle by cycle: :mod:`latte_hw.estimate.chain` for the baseline."""

import numpy as np
from numpy.typing import NDArray

from latte_hw.config import DenseConfig
from latte_hw.estimate.queues import LANDING_ITEMS, NEVER_BINDS, History, Times, one_per_cycle, space
from latte_hw.params import fifo_latency, fifo_words
from latte_hw.params.dense import DenseParams


def dense_output_cycles(valid: NDArray[np.int64], config: DenseConfig) -> NDArray[np.int64]:
    """The cycle in which each output row of a single job leaves, counted from when its first query is taken.

    ``valid`` (N_q,): keys that each query sees. Exact for streams that never starve and an output always taken.
    """
    return _DenseChain(DenseParams.of(config), valid).output_cycles()


class _DenseChain:
    def __init__(self, params: DenseParams, valid: NDArray[np.int64]) -> None:
        self.params = params
        size = params.block_rows
        self.rows = [min(size, len(valid) - first) for first in range(0, len(valid), size)]
        self.keys = [max(1, int(valid[first : first + size].max())) for first in range(0, len(valid), size)]
        flying = params.rows_in_flight + 2
        self.closed, self.taken, self.last_sent = (History(flying) for _ in range(3))
        self.row_scored, self.row_weighed, self.row_summed = (History(flying) for _ in range(3))
        self.left = History(params.blocks_in_division)
        self.scored = History(max(params.score_landing_depth, params.row_queue_depth))
        self.weighed = History(params.row_queue_depth + LANDING_ITEMS)
        self.summed = History(params.softmax_landing_depth)

    def output_cycles(self) -> NDArray[np.int64]:
        out: list[int] = []
        query, key = 0, 0  # the first query leaves the register before the blocks a cycle after it was taken
        for block, rows in enumerate(self.rows):
            query = max(query + 1, self._block_space(block)) + rows - 1
            self.closed[block] = query
            self._settle(block, key)
            key += self.keys[block]
            for ready in self._rows_ready(block):
                out.append(max(ready, out[-1] + 1 if out else 0))
            self.left[block] = out[-1] - 1  # its queue, for the register at the port
        return np.array(out, np.int64)

    def _block_space(self, block: int) -> int:
        """From when on a block's queries may come: the one before was handed over, and what it needs later has space:
        in a queue, or in the register before it, which is known a cycle later."""
        params = self.params
        freeing = block - fifo_words(params.rows_in_flight) - 1
        spaces = [self.taken[block - 1] + 1]
        if freeing >= 0:
            behind = (self.row_weighed[freeing - 1], self.row_summed[freeing - 1])
            spaces += [self.closed[freeing] + 3, *(taken + 2 for taken in behind)]
        return max(spaces)

    def _settle(self, block: int, key: int) -> None:
        """All of a block's keys move, again and again until no queue that fills up within it changes anything."""
        params = self.params
        released = self.last_sent[block - params.scan_dot.slots] + params.scan_dot.kept_back
        starts = max(self.closed[block] + 2, self.taken[block - 1] + 1, released + 1)
        self.taken[block] = starts + params.scan_dot.prepare_cycles - 1
        ready = max(self.taken[block] + params.scan_dot.prepared_latency + 1, self.last_sent[block - 1] + 1)
        known = None
        while known is None or not all(map(np.array_equal, known, self._spaces(block, key))):
            known = self._spaces(block, key)
            self._follow(block, key, ready, *known)

    def _spaces(self, block: int, key: int) -> tuple[Times, Times, Times]:
        params = self.params
        keys = (key, key + self.keys[block])
        return (
            self.scored.part(*keys, fifo_words(params.score_landing_depth)) + 1,
            space(self.scored, self.weighed, params.row_queue_depth, *keys),
            self.summed.part(*keys, fifo_words(params.softmax_landing_depth)) + 1,
        )

    def _follow(
        self, block: int, key: int, ready: int, score_credits: Times, row_space: Times, weight_credits: Times
    ) -> None:
        params = self.params
        fifo = params.latency.queue
        sent = one_per_cycle(np.maximum(score_credits, ready), NEVER_BINDS)
        scored = sent + params.score_latency + fifo
        scored = one_per_cycle(np.maximum(np.maximum(scored, row_space), self._best_space(block)), self.scored[key - 1])
        best_known = max(int(scored[-1]) + params.best_latency, self.row_weighed[block - 1] + 1)
        weighed = scored + fifo_latency(params.row_queue_depth)
        weighed = one_per_cycle(np.maximum(np.maximum(weighed, weight_credits), best_known), self.weighed[key - 1])
        summed = one_per_cycle(weighed + params.latency.softmax_pipeline + fifo, self.summed[key - 1])
        free = self.row_summed[block - 1] + params.block_division_cycles
        summed[-1] = max(summed[-1], free, self.left[block - params.blocks_in_division] + 1)

        self.last_sent[block], self.row_scored[block] = int(sent[-1]), int(scored[-1])
        self.row_weighed[block], self.row_summed[block] = int(weighed[-1]), int(summed[-1])
        for history, times in ((self.scored, scored), (self.weighed, weighed), (self.summed, summed)):
            history.set(key, times)

    def _best_space(self, block: int) -> int:
        freeing = block - fifo_words(self.params.rows_in_flight)
        if freeing < 0:
            return NEVER_BINDS
        return max(self.row_scored[freeing] + 2, self.row_weighed[freeing - 1] + 1)

    def _rows_ready(self, block: int) -> list[int]:
        """When the output rows of a block are ready to leave; a divider divides its rows one after the other."""
        params = self.params
        first = self.row_summed[block] + params.weighted_sum_latency + fifo_latency(params.out_queue_depth) + 1
        return [first + row // params.dividers for row in range(self.rows[block])]
