"""What a query costs: bounds on a head's cycles, from its latencies and the numbers of valid and kept keys."""

from dataclasses import dataclass

from latte_hw.params.latency import HeadTiming, fifo_latency


@dataclass(frozen=True)
class HeadLaws(HeadTiming):
    """Cycles per query and latency of one head core.

    Use :class:`latte_hw.params.HeadParams`.
    """

    cycle_slack = 4
    """Cycles that a query may take beyond its slowest arm (c)."""

    def cycles_per_query(self, valid_keys: int, kept: int) -> int:
        """Bound on the average distance of consecutive outputs of a stream of queries (DESIGN: max + c): beats, kept
        keys R at a time, preparation, or division, which takes up to twice as long where queries share a scan.

        With one place the refill of a place adds to its beats or kept keys, instead of being hidden behind them. When
        several queries share a scan it is the distance of scans; give the most valid and the most kept keys of any
        query in it.
        """
        slowest = max(self.beats(valid_keys) + self.query_gap, self.items(kept) + self.reuse_dot.query_gap)
        prepare = max(self.query_prepare_cycles, self.reuse_dot.prepare_cycles)
        return max(slowest, prepare, self.normalise_cycles) + self.cycle_slack

    @property
    def latency_constant(self) -> int:
        """Cycles of a lone query that do not depend on its keys: every block's latency and every queue once."""
        queues = 6 * self.fifo_latency + fifo_latency(self.survivor_depth) + fifo_latency(self.kept_depth)
        filtering = self.filter_latency + self.check_latency + self.choice_latency
        front = self.scan_dot.prepared_latency + 1 + self.estimator_latency + filtering + 2
        others = self.config.queries_per_scan - 1  # a scan begins when the last of its queries has been taken
        return queues + others + front + self.reuse_latency + self.softmax_latency + self.weighted_sum_latency

    def query_latency(self, valid_keys: int, kept: int) -> int:
        """Bound on the cycles from taking a lone query to its output row.

        Prepare; scan; check the survivors, at most as many beats again, R at a time, and complete the kept scores; sum
        up. The row's best *estimate* must be known before the check, its best *score* before the sum, so a lone query
        cannot overlap them.
        """
        beats, kept_cycles = self.beats(valid_keys), self.items(kept)
        checks = self.items(beats)
        return self.query_prepare_cycles + beats + (checks + kept_cycles) + kept_cycles + self.latency_constant
