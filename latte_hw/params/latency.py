"""Queue depths and latencies of a head: all of them follow from its configuration."""

from dataclasses import dataclass

from latte_hw.params.dot import DotTiming
from latte_hw.params.pipeline import Pipeline, pipeline_of
from latte_hw.params.widths import HeadWidths, ceil_div

NORMALISE_CYCLES = 16
"""Cycles that division may take for each row, however few keys it has."""

MULTIPLY = 2
"""Cycles of a product in a multiplier block: these lie in columns of their own, so its result travels for a cycle."""

SPREAD = 4
"""Registers among which :func:`latte_hw.lib.streams.spread` divides the load of a net; copies of a table, too."""

LUT_RAM_DEPTH = 64
"""Deepest queue that is made of LUT RAM; a deeper one takes block RAM."""

BLOCK_RAM_LANDING_DEPTH = 6
"""Depth of the short queue behind the block RAM of a deep one."""


def in_block_ram(depth: int) -> bool:
    """Whether the RAM of a queue of this depth is block RAM."""
    return depth > LUT_RAM_DEPTH


def fifo_words(depth: int) -> int:
    """Items in the RAM of a queue of this depth; the others lie behind it, see :class:`latte_hw.lib.streams.Fifo`."""
    return depth - 1 - in_block_ram(depth)


def fifo_latency(depth: int) -> int:
    """From writing into an empty queue of this depth to its output; see :class:`latte_hw.lib.streams.Fifo`."""
    return 5 if in_block_ram(depth) else 2


@dataclass(frozen=True)
class HeadTiming(HeadWidths):
    """How deep the queues of one head core are and how long everything takes, in clock cycles.

    Use :class:`latte_hw.params.HeadParams`.
    """

    # --- queues -------------------------------------------------------------------------------------------------

    @property
    def pipeline(self) -> Pipeline:
        """Register slices on long connections."""
        return pipeline_of(self.config)

    @property
    def extra_row_slots(self) -> int:
        """Rows more that a lane may hold while others take longer, where several queries share a scan: one lane's
        queries keep more keys now, another's then. Its queues grow within RAMs that are as deep anyway; more than one
        row of kept keys gains nothing."""
        return int(self.config.queries_per_scan > 1)

    @property
    def survivor_depth(self) -> int:
        """Beats of survivors, R at a time, that can wait: two full rows, so that one is written while the other is
        checked. With R = 2 each beat on its way reserves the place of a pair."""
        on_their_way = self.filter_latency * (self.config.kept_per_cycle - 1)
        return 2 * self.items(self.max_beats) + 2 + on_their_way

    @property
    def kept_depth(self) -> int:
        """Beats of kept keys, R at a time, that can wait: a full row, so that the next one is checked while it leaves.
        With less, a long stretch of survivors that all fail the final check would leave the reuse datapath idle."""
        return (1 + self.extra_row_slots) * self.items(self.max_beats) + self.check_latency

    filter_output_depth = 3
    """Items that can wait in the queue behind the filter: the least depth that lets one pass per cycle."""

    @property
    def row_queue_depth(self) -> int:
        """Items that can wait for their row's best score: two full rows with their end markers."""
        return 2 * self.items(self.config.max_keys) + 2

    @property
    def rows_in_flight(self) -> int:
        """Rows that the small per-row queues hold: more than the pipelines hold when every row is a single beat."""
        return 16

    @property
    def query_queue_depth(self) -> int:
        """Queries that wait for a place in the reuse datapath, and in the estimator unless it is shared."""
        return 4 * (1 + self.extra_row_slots)

    @property
    def estimator_queue_depth(self) -> int:
        """Queries that wait for a place in the estimator. Where several share a scan, each has two places in a table
        and one here: the reuse datapath, behind by a scan, is what needs a queue."""
        return self.query_queue_depth if self.config.queries_per_scan == 1 else 1

    @property
    def estimator_queue_latency(self) -> int:
        """From a query's arrival in its empty queue to the queue's output; a queue of one is a register."""
        return 1 if self.estimator_queue_depth == 1 else self.fifo_latency

    @property
    def out_queue_depth(self) -> int:
        """Output rows on their way or waiting: enough to keep rows `normalise_cycles` apart."""
        on_their_way = ceil_div(self.weighted_sum_latency + self.fifo_latency + 1, self.normalise_cycles)
        return 1 + 2 * self.extra_row_slots + on_their_way

    # --- time: cycles -------------------------------------------------------------------------------------------

    store_latency = 4
    """From an address to the store's data: block RAM, a register beside it, one on the way, one where it is used."""

    @property
    def softmax_pipeline(self) -> int:
        """From a queued score to its weight.

        Distance, on its way, scaling (`MULTIPLY` and a sum), two shifts, rounding, limit, table (2) and the way from
        it, halving, rounding.
        """
        return 13 + self.pipeline.exp_read

    fifo_latency = fifo_latency(2)
    """From writing into an empty queue of few items to its output."""

    @property
    def scan_dot(self) -> DotTiming:
        """Of the estimator, and of the dense core's scores."""
        return DotTiming(self.config.dot_choice, self.store_latency, self.pipeline.table_fill)

    @property
    def reuse_dot(self) -> DotTiming:
        """Of the dot products that complete the scores of kept keys."""
        return DotTiming(self.config.reuse_choice, self.store_latency, self.pipeline.table_fill)

    @property
    def query_prepare_cycles(self) -> int:
        """Cycles to prepare a query for its scan, overlapped with the one before (F)."""
        return self.scan_dot.prepare_cycles

    @property
    def gapless_beats(self) -> int:
        """With two places: beats of a query that hide the preparation of the query after the next one. A scan takes a
        cycle to begin."""
        return self.scan_dot.refill_cycles + 1

    @property
    def gapless_keys(self) -> int:
        """The same for kept keys in the reuse datapath, where no scan has to begin."""
        return self.reuse_dot.refill_cycles

    @property
    def query_gap(self) -> int:
        """Idle cycles between two scans, however long they are; with two places none."""
        return self.scan_dot.query_gap + (self.scan_dot.places == 1)

    @property
    def estimator_latency(self) -> int:
        """From sending a beat's address to its estimates in the estimator's output queue."""
        return self.store_latency + self.scan_dot.latency(self.config.head_dim, self.config.msb_bits, True)

    @property
    def estimator_landing_depth(self) -> int:
        return self.estimator_latency + self.fifo_latency + 2

    @property
    def filter_latency(self) -> int:
        """From a beat to its survivors in their queue: input, tree of lanes, running best, limit, comparison, queue.

        A level of the tree compares in one cycle and chooses in the next. Beside it the ways to the tree and from the
        limit.
        """
        return 1 + 2 * self.lane_bits + 4 + self.pipeline.beat_compare + self.pipeline.limit_compare

    @property
    def check_latency(self) -> int:
        """From a beat of survivors to its kept keys in their queue: the way to the comparison; comparison, queue; with
        R = 2, what is carried."""
        return self.pipeline.survivor_read + 1 + self.config.kept_per_cycle

    @property
    def choice_latency(self) -> int:
        """From the queue of kept keys to an item in the filter's output queue, beside that: the beat, the way of its
        chosen key."""
        return 1 + self.pipeline.key_select

    @property
    def reuse_latency(self) -> int:
        """From a kept key to its score in the reuse datapath's output queue."""
        if self.low_bits == 0:
            return 1
        dim, dot = self.config.head_dim, self.reuse_dot
        low = dot.latency(dim, self.low_bits, self.low_signed)
        return self.store_latency + max(low, dot.latency(dim, self.config.msb_bits, True)) + 2

    @property
    def reuse_landing_depth(self) -> int:
        return self.reuse_latency + self.fifo_latency + 2

    @property
    def best_score_latency(self) -> int:
        """From a row's last score to its best one on its way into the queue: arrival, better of an item, best."""
        return 1 + self.config.kept_per_cycle

    @property
    def softmax_latency(self) -> int:
        """From a row's last score to its first weight in the softmax's output queue: best score, queues, pipeline."""
        best_known = self.best_score_latency + self.fifo_latency + self.pipeline.row_read
        return max(best_known, fifo_latency(self.row_queue_depth)) + self.softmax_pipeline

    @property
    def softmax_landing_depth(self) -> int:
        return self.softmax_pipeline + self.fifo_latency + 2

    @property
    def normalise_lanes(self) -> int:
        """Elements of an output row divided per cycle: enough to keep up with queries that take `F` cycles each.
        Half as many where rows of a scan are divided side by side; but two of a value fill a word of its block RAM."""
        alone = ceil_div(self.config.head_dim, NORMALISE_CYCLES)
        return alone if self.config.queries_per_scan == 1 else max(min(2, alone), ceil_div(alone, 2))

    @property
    def normalise_cycles(self) -> int:
        """Least distance of two output rows."""
        return ceil_div(self.config.head_dim, self.normalise_lanes)

    value_stagger = 1
    """Cycles from one group of a value's elements to the next."""

    @property
    def value_spread(self) -> int:
        """Cycles from a value's first group of elements to its last."""
        return (self.normalise_cycles - 1) * self.value_stagger

    @property
    def weighted_sum_latency(self) -> int:
        """From a row's last weight to its output row in the output queue: read; the sums; the last group; offset (2), a
        stage per quotient bit, collect."""
        return self.store_latency + self.row_sums_latency + self.value_spread + 2 + self.out_bits + 1

    @property
    def products_latency(self) -> int:
        """From weights and values to the sum of an item's products: multiply, add those of R keys."""
        return MULTIPLY + self.config.kept_per_cycle - 1

    @property
    def row_sums_latency(self) -> int:
        """From a row's last weight and value to its first group of sums: products, add, pick."""
        return self.products_latency + 2
