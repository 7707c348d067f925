"""Everything that follows from a configuration for the dense core: its widths, queues, latencies and cycles."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from latte_hw.config import TOTAL_BITS, CoreConfig, DenseConfig, LatteConfig
from latte_hw.params.division import Division, quick_lanes
from latte_hw.params.dot import DotTiming
from latte_hw.params.fifo import fifo_latency
from latte_hw.params.head import HeadParams
from latte_hw.params.latency import Latency
from latte_hw.params.pipeline import Pipeline
from latte_hw.params.widths import Widths, ceil_div


@dataclass(frozen=True)
class DenseParams:
    """Derived parameters of one dense core; make them with :meth:`of`.

    A dense core is a head whose estimate has all 8 bits, so that it is the score, and that reads one key per cycle:
    every width is that of a head configured so. Queries are worked on in blocks of B = `queries_per_scan`. What it
    shares with a head is composed as in :class:`latte_hw.params.HeadParams`.
    """

    config: LatteConfig
    """Of the head whose parts it shares."""

    @classmethod
    def of(cls, config: DenseConfig) -> Self:
        """Parameters of the dense core of a configuration."""
        return cls(LatteConfig(**config.model_dump(), msb_bits=TOTAL_BITS, keys_per_cycle=1))

    @cached_property
    def head(self) -> HeadParams:
        """The head whose parts it shares: its widths, register slices and dot product are those of the dense core."""
        return HeadParams(self.config)

    @property
    def widths(self) -> Widths:
        """Ranges, widths, counts and addresses."""
        return self.head.widths

    @property
    def pipeline(self) -> Pipeline:
        """Register slices on long connections."""
        return self.head.pipeline

    @property
    def scan_dot(self) -> DotTiming:
        """Of the scores."""
        return self.head.scan_dot

    @cached_property
    def division(self) -> Division:
        """Queries of a block take turns in few dividers, so these need not be slower; the cycles between a value's
        groups are as many as a divider has queries."""
        return Division(self.config.head_dim, quick_lanes(self.config.head_dim), self.rows_per_divider)

    @cached_property
    def latency(self) -> Latency:
        """Latencies of the blocks that it shares with a head, in cycles."""
        return Latency(self.config, self.widths, self.pipeline, self.division, self.scan_dot, self.scan_dot)

    @property
    def block_rows(self) -> int:
        """Queries of a full block (B); the last block of a job may have fewer."""
        return self.config.queries_per_scan

    def blocks(self, n_queries: int) -> int:
        """Blocks of a job."""
        return ceil_div(n_queries, self.block_rows)

    # --- queues -------------------------------------------------------------------------------------------------

    @property
    def score_latency(self) -> int:
        """From sending a key's address to its scores in their queue."""
        return self.latency.estimator

    @property
    def score_landing_depth(self) -> int:
        return self.score_latency + self.latency.queue + 2

    @property
    def row_queue_depth(self) -> int:
        """Keys whose scores can wait for the block's best ones: a full block, and those of the next one that come
        until the best scores are known.

        Keys enter and leave at the same pace, so this is enough. A block RAM is exactly `max_keys` deep.
        """
        return self.config.max_keys + self.best_latency

    @property
    def best_latency(self) -> int:
        """From a block's last scores to its best ones in their queue's output."""
        return self.latency.queue

    @property
    def blocks_in_division(self) -> int:
        """Blocks whose output rows may be in the dividers or waiting: enough to keep blocks `block_division_cycles`
        apart."""
        last_row = self.weighted_sum_latency + self.rows_per_divider - 1
        leaving = self.latency.queue + self.dividers + 1
        return 1 + ceil_div(last_row + leaving, self.block_division_cycles)

    @property
    def out_queue_depth(self) -> int:
        """Output rows that can wait behind one divider, and one more that is lost to the queue's output register."""
        return self.blocks_in_division * self.rows_per_divider + 1

    @property
    def softmax_landing_depth(self) -> int:
        return self.latency.softmax_pipeline + self.latency.queue + 2

    rows_in_flight = 16
    """Blocks that the small queues of what they need hold: more than the pipelines hold when every block is short."""

    # --- division -----------------------------------------------------------------------------------------------

    rows_per_divider_limit = 4
    """A divider is busy for `division.cycles` a row, a block for hundreds of cycles: so it serves several rows."""

    @property
    def dividers(self) -> int:
        return ceil_div(self.block_rows, self.rows_per_divider_limit)

    @property
    def rows_per_divider(self) -> int:
        """Rows of a full block that one divider divides one after the other."""
        return ceil_div(self.block_rows, self.dividers)

    @property
    def block_division_cycles(self) -> int:
        """Least distance of the ends of two blocks, for the sake of the dividers."""
        return self.rows_per_divider * self.division.cycles

    @property
    def weighted_sum_latency(self) -> int:
        """From a block's last weights to its first output row in the output queue; the sums take turns in a register
        before their divider."""
        return self.latency.weighted_sum + 1

    # --- time: cycles -------------------------------------------------------------------------------------------

    @property
    def block_prepare_cycles(self) -> int:
        """Least distance of two blocks, for the sake of taking B queries, loading them and preparing them."""
        return self.block_rows + 1 + self.scan_dot.prepare_cycles

    @property
    def shortest_block(self) -> int:
        """Valid keys from which on a block takes exactly its keys; a shorter one takes at most this many cycles."""
        return max(self.block_prepare_cycles, self.scan_dot.gapless_beats, self.block_division_cycles)

    def cycles_per_block(self, valid_keys: int) -> int:
        """Distance of consecutive blocks in a stream of blocks that see `valid_keys` keys; exact from
        `shortest_block` on, a bound below. With one slot per table, the refill adds to the keys."""
        return max(valid_keys + self.scan_dot.scan_gap, self.shortest_block)

    @property
    def shortest_sum(self) -> int:
        """Keys that a single block's sum takes at least: the best scores are known `best_latency` after the last key,
        but a single key takes as long as its queue does."""
        return fifo_latency(self.row_queue_depth) + 1 - self.best_latency

    def job_latency(self, n_queries: int, block_keys: Sequence[int]) -> int:
        """Cycles from taking the first query of a single job to its last output row, streams never starving.

        `block_keys` are the valid keys of each block's last query. All blocks are scanned one after the other; while
        one is scanned the one before is summed up, so that only the last block's sum adds to it. Exact when no block
        has fewer keys than `shortest_block`; otherwise each is taken to have that many, which gives a bound.
        """
        scans = [max(1, keys) if len(block_keys) == 1 else self.cycles_per_block(keys) for keys in block_keys]
        rows_of_first = min(n_queries, self.block_rows)
        rows_of_last = n_queries - (len(block_keys) - 1) * self.block_rows
        last_sum = max(self.shortest_sum, block_keys[-1])
        return rows_of_first - 1 + sum(scans) + last_sum + rows_of_last - 1 + self.latency_constant

    @property
    def latency_constant(self) -> int:
        """Cycles of a job that do not depend on its keys and queries: every latency and every queue once, the registers
        in which a query waits for its block and from which it is loaded, and the one in which an output row leaves."""
        blocks = self.score_latency + self.best_latency + self.latency.softmax_pipeline + self.weighted_sum_latency + 2
        return self.scan_dot.prepare_cycles + self.scan_dot.prepared_latency + blocks + 3 * self.latency.queue


def port_params(config: DenseConfig) -> HeadParams:
    """Parameters that the ports follow from: those of the LATTE head that estimates with the usual 4 bits, so that both
    have the same ports. The threshold of a table entry is ignored."""
    return HeadParams(LatteConfig(**config.model_dump(), keys_per_cycle=1))


def params_of(config: CoreConfig) -> HeadParams:
    """Parameters of the head that a core's integers are those of: of a dense core, the one whose estimate is exact."""
    if isinstance(config, DenseConfig):
        return DenseParams.of(config).head
    if isinstance(config, LatteConfig):
        return HeadParams(config)
    raise TypeError(f"there are no parameters of a {type(config).__name__}")
