"""Queue depths, latencies and cycle counts of a head: all of them follow from its configuration."""

from dataclasses import dataclass

from latte_hw.config import GROUP_SIZE, Dot
from latte_hw.widths import HeadWidths, ceil_div

TABLE_ENTRIES = 2**GROUP_SIZE
"""Entries of one lookup table of a query-stationary dot product, and the cycles that filling them takes."""


def tree_levels(terms: int) -> int:
    """Levels of a tree of pairs: ⌈log2(terms)⌉."""
    return (terms - 1).bit_length()


def table_dot_latency(head_dim: int, key_bits: int, key_signed: bool) -> int:
    """Cycles of a table dot product: table read, sums over groups and bit planes, negation of a lone sign plane."""
    return 1 + tree_levels(head_dim // GROUP_SIZE) + tree_levels(key_bits) + (key_bits == 1 and key_signed)


def multiplier_dot_latency(head_dim: int) -> int:
    """Cycles of a multiplier dot product: products, sum over dimensions."""
    return 1 + tree_levels(head_dim)


@dataclass(frozen=True)
class HeadTiming(HeadWidths):
    """How deep the queues of one head core are and how long everything takes, in clock cycles.

    Use :class:`latte_hw.params.HeadParams`.
    """

    # --- queues -------------------------------------------------------------------------------------------------

    @property
    def survivor_depth(self) -> int:
        """Beats of survivors that can wait: two full rows, so that one is written while the other is checked."""
        return 2 * self.max_beats + 2

    @property
    def kept_depth(self) -> int:
        """Beats of kept keys that can wait: a full row, so that the next row is checked while this one leaves.

        With less, a long stretch of survivors that all fail the final check would leave the reuse datapath idle.
        """
        return self.max_beats + 2

    @property
    def row_queue_depth(self) -> int:
        """Scored keys that can wait for their row's best score: two full rows with their end markers."""
        return 2 * self.config.max_keys + 2

    @property
    def rows_in_flight(self) -> int:
        """Rows that the small per-row queues hold: more than the pipelines hold when every row is a single beat."""
        return 16

    @property
    def query_queue_depth(self) -> int:
        """Queries that wait for a place in the estimator or the reuse datapath."""
        return 4

    @property
    def out_queue_depth(self) -> int:
        """Output rows on their way or waiting: enough to keep rows `normalise_cycles` apart."""
        return 1 + ceil_div(self.weighted_sum_latency + self.fifo_latency + 1, self.normalise_cycles)

    # --- time: cycles -------------------------------------------------------------------------------------------

    store_latency = 2
    """From an address to the store's data."""

    softmax_pipeline = 8
    """From a queued score to its weight: distance, scaling, two shifts, rounding, table, halving, rounding."""

    fifo_latency = 2
    """From writing into an empty queue to its output; see :class:`latte_hw.streams.Fifo`."""

    @property
    def query_prepare_cycles(self) -> int:
        """Cycles to prepare a query, overlapped with the one before (F)."""
        return TABLE_ENTRIES if self.config.dot is Dot.TABLES else 1

    @property
    def gapless_beats(self) -> int:
        """Beats of a query that hide the preparation of the query after the next one: no gap between such queries.

        The tables of a query are free when its last beat has come from the store.
        """
        return self.query_prepare_cycles + self.store_latency

    def dot_latency(self, key_bits: int, key_signed: bool) -> int:
        if self.config.dot is Dot.TABLES:
            return table_dot_latency(self.config.head_dim, key_bits, key_signed)
        return multiplier_dot_latency(self.config.head_dim)

    @property
    def estimator_latency(self) -> int:
        """From sending a beat's address to its estimates in the estimator's output queue."""
        return self.store_latency + self.dot_latency(self.config.msb_bits, True)

    @property
    def estimator_landing_depth(self) -> int:
        return self.estimator_latency + self.fifo_latency + 2

    @property
    def filter_latency(self) -> int:
        """From a beat to its survivors in their queue: input, tree of lanes, running best, limit, comparison."""
        return 1 + self.lane_bits + 3

    @property
    def reuse_latency(self) -> int:
        """From a kept key to its score in the reuse datapath's output queue."""
        if self.low_bits == 0:
            return 1
        low = self.dot_latency(self.low_bits, self.low_signed)
        return self.store_latency + max(low, self.dot_latency(self.config.msb_bits, True)) + 1

    @property
    def reuse_landing_depth(self) -> int:
        return self.reuse_latency + self.fifo_latency + 2

    @property
    def softmax_latency(self) -> int:
        """From a row's last score to its first weight in the softmax's output queue: the row's queue, the pipeline."""
        return self.fifo_latency + self.softmax_pipeline

    @property
    def softmax_landing_depth(self) -> int:
        return self.softmax_pipeline + self.fifo_latency + 2

    @property
    def normalise_lanes(self) -> int:
        """Elements of an output row divided per cycle: enough to keep up with queries that take `F` cycles."""
        return ceil_div(self.config.head_dim, TABLE_ENTRIES)

    @property
    def normalise_cycles(self) -> int:
        """Least distance of two output rows."""
        return ceil_div(self.config.head_dim, self.normalise_lanes)

    @property
    def normaliser_latency(self) -> int:
        """From a row's sums to its output row: take, offset, one stage per quotient bit, collect."""
        return 1 + self.normalise_cycles + self.out_bits + 1

    @property
    def weighted_sum_latency(self) -> int:
        """From a row's last weight to its output row in the output queue: read, multiply, add, divide."""
        return self.store_latency + 2 + self.normaliser_latency

    cycle_slack = 4
    """Cycles that a query may take beyond its slowest arm (c)."""

    def cycles_per_query(self, valid_keys: int, kept: int) -> int:
        """Bound on the average distance of consecutive outputs of a stream of queries (DESIGN: max + c)."""
        return max(self.beats(valid_keys), kept, self.query_prepare_cycles, self.normalise_cycles) + self.cycle_slack

    @property
    def latency_constant(self) -> int:
        """Cycles of a lone query that do not depend on its keys: every block's latency and every queue once."""
        queues = 9 * self.fifo_latency
        blocks = self.estimator_latency + self.filter_latency + 2 + self.reuse_latency + self.softmax_pipeline
        return queues + blocks + self.weighted_sum_latency

    def query_latency(self, valid_keys: int, kept: int) -> int:
        """Bound on the cycles from taking a lone query to its output row.

        Prepare; scan; check the survivors, at most as many beats again, and complete the kept scores; sum up. The
        row's best *estimate* must be known before the check, its best *score* before the sum, so a lone query cannot
        overlap them.
        """
        beats = self.beats(valid_keys)
        return self.query_prepare_cycles + beats + (beats + kept) + kept + self.latency_constant
