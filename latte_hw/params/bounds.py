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

    def cycles_per_query(self, valid_keys: int, kept: int, queries: int | None = None) -> int:
        """Bound on what a query adds to a stream of queries (DESIGN: max + c): beats, kept keys R at a time,
        preparation, or division, which takes up to twice as long where queries share a scan.

        So long as rows repeat, the mean distance of consecutive outputs is at most the mean of this. A job takes at
        most the sum of this over its queries but the first, and one latency:
        :func:`golden.analysis.cycles.head_cycles`. Outputs of a job of a few, different queries may lie further apart:
        by their latencies, which differ.

        With one place the refill of a place adds to its beats or kept keys, instead of being hidden behind them. When
        several queries share a scan it is the distance of scans; give the most valid and the most kept keys of any
        query in it, and ``queries``, if there are fewer than B. They come one per cycle into registers, one each, which
        their preparation frees all at once: so scans are no closer than ``queries`` + F − 1, exactly so for short rows.
        """
        queries = self.config.queries_per_scan if queries is None else queries
        slowest = max(self.beats(valid_keys) + self.query_gap, self.items(kept) + self.reuse_dot.query_gap)
        prepare = max(self.query_prepare_cycles, self.reuse_dot.prepare_cycles)
        dealt = queries + self.query_prepare_cycles - 1
        return max(max(slowest, prepare, self.normalise_cycles) + self.cycle_slack, dealt)

    @property
    def latency_constant(self) -> int:
        """Cycles of a lone query that do not depend on its keys: every block's latency and every queue once."""
        queues = 6 * self.fifo_latency + fifo_latency(self.survivor_depth) + fifo_latency(self.kept_depth)
        filtering = self.filter_latency + self.check_latency + self.choice_latency
        front = self.scan_dot.prepared_latency + 1 + self.estimator_latency + filtering + 2
        others = self.config.queries_per_scan - 1  # a scan begins when the last of its queries has been taken
        return queues + others + front + self.reuse_latency + self.softmax_latency + self.weighted_sum_latency

    def query_latency(self, valid_keys: int, kept: int, queries: int | None = None) -> int:
        """Bound on the cycles from taking a lone query to its output row; of the first of ``queries`` that share a scan
        (B unless given), with the most valid and the most kept keys of any of them.

        Prepare; scan; check the survivors, at most as many beats again, R at a time, and complete the kept scores; sum
        up. The row's best *estimate* must be known before the check, its best *score* before the sum, so a lone query
        cannot overlap them.
        """
        beats, kept_cycles = self.beats(valid_keys), self.items(kept)
        checks = self.items(beats)
        absent = 0 if queries is None else self.config.queries_per_scan - queries
        work = self.query_prepare_cycles + beats + (checks + kept_cycles) + kept_cycles
        return work + self.latency_constant - absent
