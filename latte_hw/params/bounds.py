"""What a query costs: bounds on a head's cycles, from its latencies and the numbers of valid and kept keys."""

from dataclasses import dataclass

from latte_hw.config import LatteConfig
from latte_hw.params.depths import Depths
from latte_hw.params.division import Division
from latte_hw.params.fifo import fifo_latency
from latte_hw.params.latency import Latency
from latte_hw.params.widths import Widths


@dataclass(frozen=True)
class Bounds:
    """Cycles per query and latency of one head core: the member `bounds` of :class:`latte_hw.params.HeadParams`."""

    config: LatteConfig
    widths: Widths
    division: Division
    latency: Latency
    depths: Depths

    cycle_slack = 4
    """Cycles that a query may take beyond its slowest arm (c)."""

    def cycles_per_query(self, valid_keys: int, kept: int, queries: int | None = None) -> int:
        """Bound on what a query adds to a stream of queries (DESIGN: max + c): beats, kept keys R at a time,
        preparation, or division, which takes up to twice as long where queries share a scan.

        So long as rows repeat, the mean distance of consecutive outputs is at most the mean of this. A job takes at
        most the sum of this over its queries but the first, and one latency:
        :func:`golden.analysis.cycles.head_cycles`. Outputs of a job of a few, different queries may lie further apart:
        by their latencies, which differ.

        With one slot per table the refill adds to its beats or kept keys, instead of being hidden behind them. When
        several queries share a scan it is the distance of scans; give the most valid and the most kept keys of any
        query in it, and ``queries``, if there are fewer than B. They come one per cycle into registers, one each, which
        their preparation frees all at once: so scans are no closer than ``queries`` + F − 1, exactly so for short rows.
        """
        queries = self.config.queries_per_scan if queries is None else queries
        slowest = max(
            self.widths.beats(valid_keys) + self.latency.scan_dot.scan_gap,
            self.widths.items(kept) + self.latency.reuse_dot.query_gap,
        )
        prepare = max(self.latency.scan_dot.prepare_cycles, self.latency.reuse_dot.prepare_cycles)
        dispatched = queries + self.latency.scan_dot.prepare_cycles - 1
        return max(max(slowest, prepare, self.division.cycles) + self.cycle_slack, dispatched)

    @property
    def latency_constant(self) -> int:
        """Cycles of a single query that do not depend on its keys: every block's latency and every queue once,
        and the register slices between them."""
        queues = 6 * self.latency.queue + fifo_latency(self.depths.survivors) + fifo_latency(self.depths.kept)
        filtering = self.latency.filter + self.latency.check + self.latency.choice
        front = self.latency.scan_dot.prepared_latency + 1 + self.latency.estimator + filtering + 2
        others = self.config.queries_per_scan - 1  # a scan begins when the last of its queries has been taken
        behind = self.latency.reuse + self.latency.softmax + self.latency.weighted_sum
        return queues + others + front + behind + self.latency.pipeline.between_blocks

    def query_latency(self, valid_keys: int, kept: int, queries: int | None = None) -> int:
        """Bound on the cycles from taking a single query to its output row; of the first of ``queries`` that share a
        scan (B unless given), with the most valid and the most kept keys of any of them.

        Prepare; scan; check the survivors, at most as many beats again, R at a time, and complete the kept scores; sum
        up. The row's best *estimate* must be known before the check, its best *score* before the sum, so a single query
        cannot overlap them.
        """
        beats, kept_cycles = self.widths.beats(valid_keys), self.widths.items(kept)
        checks = self.widths.items(beats)
        absent = 0 if queries is None else self.config.queries_per_scan - queries
        work = self.latency.scan_dot.prepare_cycles + beats + (checks + kept_cycles) + kept_cycles
        return work + self.latency_constant - absent
