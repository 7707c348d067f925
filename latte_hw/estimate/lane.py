"""One lane of a LATTE head in time: a query in filter, reuse, softmax and weighted sum."""

import numpy as np

from latte_hw.estimate.queues import LANDING_ITEMS, NEVER_BINDS, Credits, History, Times, one_per_cycle, space
from latte_hw.estimate.rows import Row
from latte_hw.params import DotTiming, HeadParams, fifo_latency, fifo_words


class Lane:
    """The queries of a job that one lane works on, one after the other: :meth:`take`, :meth:`follow` until it settles,
    :meth:`close`, :meth:`leave`. Latencies and depths are those of :class:`latte_hw.params.HeadParams`."""

    def __init__(self, params: HeadParams) -> None:
        self.params = params
        flying = params.depths.rows + 2 + 2 * params.pipeline.row_read
        # by row
        self.queries, self.limits_taken = History(flying), History(flying)
        self.best_taken, self.row_summed = History(flying), History(flying)
        self.estimator_taken, self.reuse_taken = History(flying), History(flying)
        self.scan_started, self.last_sent, self.last_left = (History(flying) for _ in range(3))
        self.out = History(params.depths.out_rows)
        # by beat, by entry of the queues in the filter, by item
        self.accepted = History(params.depths.estimator_landing + 2 * params.pipeline.beat_send)
        self.checked = History(1)
        self.output_items = params.depths.filter_output + params.latency.choice - 1
        self.left = History(self.output_items)
        self.scored = History(max(params.depths.reuse_landing, params.depths.scored))
        self.weighed = History(params.depths.scored + LANDING_ITEMS)
        self.summed = History(params.depths.softmax_landing)
        self.survivors = Credits(fifo_words(params.depths.survivors))
        self.kept = Credits(fifo_words(params.depths.kept))
        self.last_moved = NEVER_BINDS  # the last item of the row before, out of its beat
        self.number = self.beat = self.check = self.item = 0  # of the present row, its first beat, and so on

    # --- a query comes ------------------------------------------------------------------------------------------------

    def query_space(self) -> int:
        """From when on the lane's next query may be taken: every queue that it goes to has space. That of thresholds is
        as deep as that of rows and gives up a row sooner: it never fills."""
        params, many = self.params, self.params.depths.rows
        return max(
            self._space(params.depths.estimator_queries, self.estimator_taken, params.pipeline.query_send),
            self._space(params.depths.queries, self.reuse_taken, params.pipeline.row_params),
            self._space(many, self.best_taken, params.pipeline.row_params, params.pipeline.row_read),
            self.row_space(),
        )

    def row_space(self) -> int:
        """From when on the queue of the weighted sum has space for the lane's next row."""
        pipeline = self.params.pipeline
        return self._space(self.params.depths.rows, self.row_summed, pipeline.row_params, pipeline.row_read)

    def _space(self, depth: int, taken: History, slices: int, skids: int = 0) -> int:
        """A word is free when what was in it has moved to the output register, behind what was taken from there; a
        register, when what was in it is taken. A register slice before the queue is one word more, and the sequencer's
        initiation interval of 2 one cycle. Of a skid buffer behind it, two words more and a cycle."""
        if depth == 1:
            return taken[self.number - 1]
        late = self.params.pipeline.row_issue
        freeing = self.number - fifo_words(depth) - slices
        return (
            max(self.queries[freeing] + 2, taken[freeing - 1 - 2 * skids] + 1 + skids) + late
            if freeing >= 0
            else NEVER_BINDS
        )

    def take(self, query: int, present: Row) -> None:
        """The lane's next query, taken in cycle ``query``, and its row."""
        params, row = self.params, self.number
        self.present = present
        self.queries[row] = query
        at_reuse = query + params.pipeline.row_params + params.latency.queue
        if params.widths.low_bits:
            self.reuse_prepared = self._prepare(
                params.reuse_dot, at_reuse, self.reuse_taken, self.last_left, self.last_left
            )
        else:
            self.reuse_prepared = max(at_reuse, self.last_left[row - 1] + 1)
        self._survivors_returned, self._kept_returned = (
            np.full(count, NEVER_BINDS, np.int64) for count in (self.present.beats, self.present.entries)
        )
        self._conditions = self._queue_conditions()

    def offered(self) -> int:
        """When the present query is before the estimator."""
        return self.queries[self.number] + self.params.pipeline.query_send + self.params.depths.estimator_queue_latency

    def prepare(self, offered: int) -> None:
        """The estimator prepares the queries of a scan together, all of them pending from then on."""
        self.prepared = self._prepare(
            self.params.scan_dot, offered, self.estimator_taken, self.last_sent, self.scan_started
        )

    def _prepare(self, dot: DotTiming, offered: int, taken: History, last_sent: History, handed_over: History) -> int:
        """When the present query, offered from then on, is ready in a dot product: filled in when a slot is free."""
        row = self.number
        released = last_sent[row - dot.slots] + dot.kept_back
        starts = max(offered, taken[row - 1] + 1, released + 1)
        taken[row] = starts + dot.prepare_cycles - 1
        return max(taken[row] + dot.prepared_latency + 1, handed_over[row - 1] + 1)

    # --- its row moves ------------------------------------------------------------------------------------------------

    def _queue_conditions(self) -> tuple[Times, ...]:
        """From when on each queue has space, or a credit, for every beat or item of the row, as far as known."""
        params, slices = self.params, self.params.pipeline.beat_send
        beat, item = (self.beat, self.beat + self.present.beats), (self.item, self.item + int(self.present.items.sum()))
        landing = fifo_words(params.depths.reuse_landing) if params.widths.low_bits else 1
        return (
            self.accepted.part(*beat, fifo_words(params.depths.estimator_landing) + 2 * slices) + 1 + slices,
            self.survivors.conditions(self.present.beats, self._survivors_returned),
            self.kept.conditions(self.present.entries, self._kept_returned),
            self.scored.part(*item, landing) + (1 if params.widths.low_bits else 0),
            space(self.scored, self.weighed, params.depths.scored, *item),
            self.summed.part(*item, fifo_words(params.depths.softmax_landing)) + 1,
        )

    def beat_credits(self) -> Times:
        return self._conditions[0].copy()

    def follow(self, sent: Times) -> bool:
        """The row's beats are sent at ``sent``: when they and their kept keys move. Whether that is final."""
        params, number, row = self.params, self.number, self.present
        _, survivor_credits, kept_credits, score_credits, row_space, weight_credits = self._conditions
        fifo = params.latency.queue

        landed = sent + params.latency.estimator + fifo + params.pipeline.beat_send
        arrived = np.maximum(landed, survivor_credits)
        arrived[0] = max(arrived[0], self.limits_taken[number - fifo_words(params.depths.rows)] + 1)
        accepted = one_per_cycle(arrived, self.accepted[self.beat - 1])
        written = accepted + params.latency.filter

        limit_known = max(int(written[-1]) - 2 + fifo, self.limits_taken[number - 1] + 1)
        survived = written[row.completing] + fifo_latency(params.depths.survivors)
        waiting = np.maximum(np.maximum(survived, kept_credits), limit_known)
        checked = one_per_cycle(waiting, self.checked[self.check - 1])

        # An item waits in its entry's register, in register slices `key_select`, then in the filter's output queue.
        queued = checked + params.latency.check
        beat_ready = queued + fifo_latency(params.depths.kept)
        item_ready = np.repeat(beat_ready, row.items) + 1
        chosen = item_ready + params.latency.choice - 1
        ready = np.maximum(np.maximum(chosen + fifo, score_credits), self.reuse_prepared)
        left = one_per_cycle(ready, self.left[self.item - 1])
        self.left.set(self.item, left)
        output_space = self.left.part(self.item, self.item + len(left), self.output_items) + 1
        moved = one_per_cycle(np.maximum(item_ready, output_space), self.last_moved)
        ends = np.cumsum(row.items) - 1
        before = np.concatenate([[self.last_moved], moved])[ends - row.items + 1]
        self._survivors_returned = written[row.used_with]
        self._survivors_returned[row.completing] = checked
        self._kept_returned = np.where(row.items > 0, np.maximum(beat_ready, before), queued)
        self._last_moved = int(moved[-1])

        completed = left + (params.latency.reuse + fifo if params.widths.low_bits else 1)
        skids = params.pipeline.row_read
        best_space = self.best_taken[number - fifo_words(params.depths.rows) - 2 * skids] + 1 + skids
        scored = one_per_cycle(np.maximum(np.maximum(completed, row_space), best_space), self.scored[self.item - 1])
        best_known = max(int(scored[-1]) + params.latency.best_score + fifo + skids, self.best_taken[number - 1] + 1)
        weighed = one_per_cycle(
            np.maximum(np.maximum(scored + fifo_latency(params.depths.scored), weight_credits), best_known),
            self.weighed[self.item - 1],
        )
        summed = one_per_cycle(weighed + params.latency.softmax_pipeline + fifo, self.summed[self.item - 1])
        free = self.row_summed[number - 1] + params.division.cycles
        out_credit = self.out[number - fifo_words(params.depths.out_rows)] + 1
        summed[-1] = max(summed[-1], free, out_credit)

        self.last_sent[number] = int(sent[-1])
        self.limits_taken[number] = int(checked[-1]) + params.pipeline.row_limit
        self.last_left[number] = int(left[-1])
        self.best_taken[number], self.row_summed[number] = int(weighed[-1]), int(summed[-1])
        self.accepted.set(self.beat, accepted)
        self.checked.set(self.check, checked)
        for history, times in ((self.scored, scored), (self.weighed, weighed), (self.summed, summed)):
            history.set(self.item, times)
        if not params.widths.low_bits:
            self.reuse_taken[number] = int(left[-1])
        known, self._conditions = self._conditions, self._queue_conditions()
        return all(np.array_equal(old, new) for old, new in zip(known, self._conditions, strict=True))

    # --- and leaves ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """The row has settled: go on to the next one."""
        row = self.present
        self.survivors.take(self.accepted.part(self.beat, self.beat + row.beats), self._survivors_returned)
        self.kept.take(self.checked.part(self.check, self.check + row.entries), self._kept_returned)
        self.last_moved = self._last_moved
        self.number += 1
        self.beat += row.beats
        self.check += row.entries
        self.item += int(row.items.sum())

    def leave(self, before: int) -> int:
        """When the row that was closed last leaves, after one that left at ``before``."""
        number = self.number - 1
        ready = self.row_summed[number] + self.params.latency.weighted_sum + self.params.latency.queue
        self.out[number] = max(ready, before + 1)
        return self.out[number]
