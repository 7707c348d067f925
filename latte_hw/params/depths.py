"""How many items the queues of a head hold: what its pipelines hold, and what must be able to wait."""

from dataclasses import dataclass

from latte_hw.config import LatteConfig
from latte_hw.params.division import Division
from latte_hw.params.latency import Latency, scored_depth
from latte_hw.params.widths import Widths, ceil_div


@dataclass(frozen=True)
class Depths:
    """Depths of the queues. They are the member `depths` of :class:`latte_hw.params.HeadParams`."""

    config: LatteConfig
    widths: Widths
    division: Division
    latency: Latency

    filter_output = 3
    """Items that can wait in the queue behind the filter: the least depth that lets one pass per cycle."""

    @property
    def scored(self) -> int:
        """Items that can wait for their row's best score: two full rows with their end markers."""
        return scored_depth(self.widths)

    @property
    def extra_row_slots(self) -> int:
        """Rows more that a lane may hold while others take longer, where several queries share a scan: one lane's
        queries keep more keys now, another's then. Its queues grow within RAMs that are as deep anyway; more than one
        row of kept keys gains nothing."""
        return int(self.config.queries_per_scan > 1)

    @property
    def survivors(self) -> int:
        """Beats of survivors, R at a time, that can wait: two full rows, so that one is written while the other is
        checked. With R = 2 each beat in the pipeline has a credit for a pair."""
        in_pipeline = self.latency.filter * (self.config.kept_per_cycle - 1)
        return 2 * self.widths.items(self.widths.max_beats) + 2 + in_pipeline

    @property
    def kept(self) -> int:
        """Beats of kept keys, R at a time, that can wait: a full row, so that the next one is checked while it leaves.
        With less, a long stretch of survivors that all fail the final check would leave the reuse datapath idle."""
        return (1 + self.extra_row_slots) * self.widths.items(self.widths.max_beats) + self.latency.check

    @property
    def rows(self) -> int:
        """Rows that the small per-row queues hold: more than the pipelines hold when every row is a single beat."""
        return 16

    @property
    def queries(self) -> int:
        """Queries that wait for a slot in the reuse datapath, and in the estimator unless it is shared."""
        return 4 * (1 + self.extra_row_slots)

    @property
    def estimator_queries(self) -> int:
        """Queries that wait for a slot in the estimator. Where several share a scan, each has two slots in a table
        and one here: the reuse datapath, behind by a scan, is what needs a queue."""
        return self.queries if self.config.queries_per_scan == 1 else 1

    @property
    def estimator_queue_latency(self) -> int:
        """From writing a query into its empty queue to the queue's output; a queue of one is a register."""
        return 1 if self.estimator_queries == 1 else self.latency.queue

    @property
    def out_rows(self) -> int:
        """Output rows in the divider or waiting: enough to keep rows `division.cycles` apart."""
        in_pipeline = ceil_div(self.latency.weighted_sum + self.latency.queue + 1, self.division.cycles)
        return 1 + 2 * self.extra_row_slots + in_pipeline

    @property
    def estimator_landing(self) -> int:
        return self.latency.estimator + self.latency.queue + 2

    @property
    def reuse_landing(self) -> int:
        return self.latency.reuse + self.latency.queue + 2

    @property
    def softmax_landing(self) -> int:
        return self.latency.softmax_pipeline + self.latency.queue + 2
