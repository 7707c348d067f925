"""Latencies of the blocks of a core, in clock cycles."""

from dataclasses import dataclass

from latte_hw.config import LatteConfig
from latte_hw.params.division import Division
from latte_hw.params.dot import DotTiming
from latte_hw.params.fifo import fifo_latency
from latte_hw.params.pipeline import Pipeline
from latte_hw.params.widths import Widths

LOOK_AHEAD = 4
"""Cycles later that :func:`latte_hw.lib.arith.running_best` knows a row's best value where it looks ahead."""

MULTIPLY = 2
"""Cycles of a product in a multiplier block: these lie in columns of their own, so its result has a register slice."""

FAN_OUT_COPIES = 4
"""Registers among which :func:`latte_hw.lib.streams.fan_out` divides the load of a net; copies of a table, too."""

STORE = 4
"""From an address to the store's data: block RAM, a register beside it, a register slice, one where it is used."""


def scored_depth(widths: Widths) -> int:
    """Items that can wait for their row's best score: two full rows with their end markers."""
    return 2 * widths.items(widths.config.max_keys) + 2


@dataclass(frozen=True)
class Latency:
    """How long each block takes. They are the member `latency` of :class:`latte_hw.params.HeadParams`."""

    config: LatteConfig
    widths: Widths
    pipeline: Pipeline
    division: Division
    scan_dot: DotTiming
    reuse_dot: DotTiming

    @property
    def store(self) -> int:
        """From an address to the store's data."""
        return STORE + self.pipeline.store_read

    queue = fifo_latency(2)
    """From writing into an empty queue of few items to its output."""

    @property
    def estimator(self) -> int:
        """From sending a beat's address to its estimates in the estimator's output queue."""
        return self.store + self.scan_dot.latency(self.config.head_dim, self.config.msb_bits, True)

    @property
    def filter(self) -> int:
        """From a beat to its survivors in their queue: input, register slices, tree of lanes, running best, limit,
        comparison, queue.

        A level of the tree compares in one cycle and chooses in the next. Beside it looking ahead, and the comparison
        with the limit, if in two cycles.
        """
        ahead = LOOK_AHEAD * self.pipeline.best_follow
        slices = self.pipeline.tree_send + self.pipeline.limit_send + self.pipeline.limit_compare
        return 1 + 2 * self.widths.lane_bits + 4 + ahead + slices

    @property
    def check(self) -> int:
        """From a beat of survivors to its kept keys in their queue: register slices, comparison, queue; with R = 2, the
        key that is carried."""
        return self.pipeline.survivor_read + self.pipeline.final_compare + 1 + self.config.kept_per_cycle

    @property
    def choice(self) -> int:
        """From the queue of kept keys to an item in the filter's output queue, beside that: the beat, register slices
        of its chosen key."""
        return 1 + self.pipeline.key_select

    @property
    def reuse(self) -> int:
        """From a kept key to its score in the reuse datapath's output queue."""
        if self.widths.low_bits == 0:
            return 1
        dim, dot = self.config.head_dim, self.reuse_dot
        low = dot.latency(dim, self.widths.low_bits, self.widths.low_signed)
        return self.store + max(low, dot.latency(dim, self.config.msb_bits, True)) + 2

    @property
    def best_score(self) -> int:
        """From a row's last score to its best one before the queue: input, better of an item, best."""
        return 1 + self.config.kept_per_cycle + LOOK_AHEAD * self.pipeline.best_follow

    @property
    def softmax_pipeline(self) -> int:
        """From a queued score to its weight.

        Distance, a register slice, scaling (`MULTIPLY` and a sum), two shifts, rounding, limit, table (2) and the
        register slices behind it, halving, rounding.
        """
        return 13 + self.pipeline.exp_read

    @property
    def softmax(self) -> int:
        """From a row's last score to its first weight in the softmax's output queue: best score, queues, pipeline."""
        best_known = self.best_score + self.queue + self.pipeline.row_read
        return max(best_known, fifo_latency(scored_depth(self.widths))) + self.softmax_pipeline

    @property
    def products(self) -> int:
        """From weights and values to the sum of an item's products: multiply, add those of R keys."""
        return MULTIPLY + self.config.kept_per_cycle - 1

    @property
    def accumulator(self) -> int:
        """From a row's last weight and value to its first group of sums: register slices, products, add, pick."""
        return self.pipeline.weight_send + self.products + 2

    @property
    def weighted_sum(self) -> int:
        """From a row's last weight to its output row in the output queue: read; the sums; the last group; offset (2), a
        stage per quotient bit, collect."""
        return self.store + self.accumulator + self.division.last_group + 2 + self.widths.out_bits + 1
