"""Register slices of a core by name: how many lie on each connection that may be long."""

from dataclasses import dataclass, replace

from latte_hw.config import LatteConfig, PipelineChoice


@dataclass(frozen=True)
class Pipeline:
    """Register slices on each named hop. A slice costs latency, never throughput, unless its hop says otherwise.

    The figures are cycles added to a query's latency, for every slice of a hop on its path.
    """

    load_start: int = 0
    """From the start of a load to its counters of rows. A load ends 1 cycle later."""

    store_read: int = 0
    """From the RAMs of K and V to the multipliers and tables. 1 cycle for each of scan, kept keys and values."""

    row_load: int = 0
    """From the ports of K and V to the saturation of a row's elements. A load ends 1 cycle later."""

    row_write: int = 0
    """From the rows as they are stored to the RAMs of whole rows of K and V: enables, fan-out copies of the address,
    data. No cycle: rows are read long after."""

    bank_write: int = 0
    """From the port that takes rows of K to the banks of high parts: write enables, and fan-out copies of the row.
    Loading ends no later, since a row is written two cycles after it came anyway."""

    bank_read: int = 0
    """From the estimator's address to the banks: fan-out copies of it, at most two slices. No cycle: one register less
    lies behind a bank for each."""

    table_fill: int = 0
    """From the adders that make a table's entries to the copies of the table, in both dot products; with it, which
    query is read has fan-out copies, and bit planes of a lane may read different copies. No cycle as long as filling
    overlaps reading the store."""

    key_read: int = 0
    """From a kept key to the RAMs of whole rows of K, at most two slices. No cycle: one register less lies behind a RAM
    for each."""

    value_read: int = 0
    """From a weight's key to the first RAM of V, likewise."""

    scan_start: int = 0
    """From the start of a scan to its counters: 0 or 1. With 1 the sign of the keys left has no net in common with the
    address of the banks. No cycle."""

    query_send: int = 0
    """From the sequencer to the queue of the estimator's queries. 1 cycle."""

    row_issue: int = 0
    """From the credits of the queues that a query goes to, to the sequencer: 0 or 1. With 1 its initiation interval is
    2: one query in two cycles, which binds only where a query has one beat."""

    row_params: int = 0
    """From the sequencer to the queues of what a query's row needs behind the estimator. No cycle: the row is scanned
    meanwhile."""

    threshold_read: int = 0
    """From the queue of thresholds to the filter, every beat of which waits for it. No cycle, likewise."""

    row_read: int = 0
    """From the queues of what a row needs, threshold, scale, best score and row end, to the filter, the softmax and the
    weighted sum, which say late that they take it: skid buffers. 1 cycle, behind the best score."""

    row_count: int = 0
    """From taking a query to what counts those left of its job: 0 or 1, the latter with `row_issue`. No cycle: the
    next one is taken two cycles later."""

    beat_send: int = 0
    """From the estimator's output queue to the filter, which takes a beat when it has a threshold and a credit for what
    becomes of it: skid buffers. 1 cycle."""

    tree_send: int = 0
    """From a beat as the filter takes it to the tree of its lanes, which need not lie where it is taken.
    1 cycle."""

    beat_compare: int = 0
    """From one level to the next of the tree that finds the best of a beat's lanes: with 1, halves of two estimates are
    compared, and what follows from them is in the cycle in which the better one is chosen. No cycle."""

    best_follow: int = 0
    """From a row's best estimate, or best score, so far back to itself: with 1 it takes two cycles, and looks ahead.
    4 cycles in the filter and 4 in the softmax."""

    limit_send: int = 0
    """From a beat's running limit to the comparison of its lanes: fan-out copies of it. 1 cycle."""

    limit_compare: int = 0
    """From a lane's limit to its comparison: with 1, that of halves first. 1 cycle."""

    survivor_read: int = 0
    """From block RAM of the queue of survivors to the final check. 1 cycle."""

    final_compare: int = 0
    """From a row's limit to the final check of its lanes: with 1, halves first. 1 cycle."""

    row_limit: int = 0
    """From the last survivor of a row to the queue of limits: cycles between the final checks of two rows. With R = 2
    no cycle, since two beats at a time leave ⌊N/2⌋ of N idle; otherwise throughput, a cycle per query."""

    key_select: int = 0
    """From the choice of a kept key to the filter's output queue. 1 cycle."""

    exp_read: int = 0
    """From block RAM of the table of exponentials to the halving of its entries. 1 cycle."""

    weight_send: int = 0
    """From a kept key's weight to the multipliers of its value's elements: fan-out copies of it first. A second slice
    has no initial value, so that it fits into the multipliers' own registers. 1 cycle."""

    row_end: int = 0
    """From the counter that keeps row ends apart to the queue of rows: 0 or 1. No cycle: worked out ahead."""

    output: int = 0
    """From the weighted sum, or the in-order collector, to the port of the output rows. 1 cycle."""

    divisor_check: int = 0
    """From the divisor to the output row, which is 0 if that is: 0 or 1. No cycle: sent beside the division."""

    counter_events: int = 0
    """From the events of each block to the counters, which are late by so much."""

    @property
    def between_blocks(self) -> int:
        """Cycles of the hops on a query's way that lie in no block's latency."""
        return self.query_send + self.beat_send + self.behind_blocks

    @property
    def behind_blocks(self) -> int:
        """Of these, those behind the last block, which output rows pass."""
        return self.output


COMPACT = Pipeline()
"""For a core that fills a corner of a chip."""

WIDE = Pipeline(
    bank_write=1, bank_read=1, table_fill=1, row_issue=1, row_params=1, threshold_read=1, survivor_read=1, row_limit=1,
    key_select=1, row_end=1, divisor_check=1, counter_events=1,
)  # fmt: skip
"""For many lanes: more than eight keys per cycle, or several queries per scan."""

LARGE = replace(
    WIDE, row_load=1, row_write=1, key_read=1, value_read=1, scan_start=1, query_send=1, threshold_read=0, row_read=1,
    row_count=1, beat_compare=1, best_follow=1, limit_compare=1, exp_read=1, load_start=1, store_read=1,
    final_compare=1, beat_send=1, tree_send=1, limit_send=1, weight_send=2,
)  # fmt: skip
"""For a core that spans a chip."""


def pipeline_of(config: LatteConfig) -> Pipeline:
    """The register slices of a core; `auto` is this one rule.

    Some hops have none whatever is chosen. With several queries per scan, credits depend on the lane whose turn it is:
    they are never late. With one kept key per cycle the check has no idle cycles for a gap between rows.
    """
    wide = config.queries_per_scan > 1 or config.keys_per_cycle > 8
    chosen = {
        PipelineChoice.AUTO: WIDE if wide else COMPACT,
        PipelineChoice.COMPACT: COMPACT,
        PipelineChoice.LARGE: LARGE,
    }[config.pipeline]
    if config.queries_per_scan > 1:
        chosen = replace(chosen, query_send=0, row_issue=0, row_params=0, threshold_read=0, row_count=0)
    chosen = replace(chosen, output=config.output_slices)
    return chosen if config.kept_per_cycle > 1 else replace(chosen, row_limit=0)
