"""The head-wise threshold filter: early drop against the running maximum, final check against the row's best."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.config import Rule
from latte_hw.core.key_pairs import carry_odd_key, estimates_of, join_beats, key_at, masks_of
from latte_hw.core.payloads import Payloads, slots
from latte_hw.lib.arith import reaches, register, register_exceeds, running_best
from latte_hw.lib.masks import chosen, popcount, several, without_lowest
from latte_hw.lib.register_slices import slices_before
from latte_hw.lib.streams import CreditFifo, Fifo, delayed, delayed_data, divided, fan_out
from latte_hw.params import LOOK_AHEAD, HeadParams


class HeadThresholdFilter(wiring.Component):
    """Keeps a key iff `best − estimate <= threshold` (`differential`), or `estimate >= threshold` or it is the row's
    best (`static`).

    A key that fails against the best estimate *so far*, its own beat included, can never pass; it is dropped at once.
    The survivors of a beat are queued, checked again when the row's best is known, P lanes at a time, and the kept
    ones leave one per cycle in the order of the keys. With R = `kept_per_cycle` = 2 all of this goes two beats and two
    kept keys at a time, see :mod:`latte_hw.core.key_pairs`.

    Members
    -------
    i_threshold
        τ_int of each row, taken with the row's last beat.
    i_beat
        Estimates, from the estimator.
    o_kept
        Kept keys; see :mod:`latte_hw.core.payloads` for how a row ends.
    o_seen, o_survivors
        Event counts: valid keys of the beat taken in the cycle before, keys of a beat that passed the early drop in
        the cycle before.

    Throughput: a row takes max(beats, items) cycles: its items are the kept keys, and an end marker if its last beat
    keeps nothing; with R = 2 the pairs of kept keys, and an end marker likewise. The two arms are decoupled by queues
    of `survivor_depth` and `kept_depth` entries.
    Latency: `params.latency.filter` from a beat to its survivors, `params.latency.check` from these to its kept keys,
    `params.latency.choice` from these to an item; and three queues.
    """

    def __init__(self, params: HeadParams) -> None:
        self.params = params
        self.pairs = params.config.kept_per_cycle == 2
        self.lanes = params.config.keys_per_cycle * params.config.kept_per_cycle  # checked per cycle
        payloads = Payloads(params)
        event = Shape.cast(range(params.config.keys_per_cycle + 1))
        super().__init__(
            {
                "i_threshold": In(stream.Signature(payloads.threshold)),
                "i_beat": In(stream.Signature(payloads.estimate_beat)),
                "o_kept": Out(stream.Signature(payloads.kept_key)),
                "o_seen": Out(event),
                "o_survivors": Out(event),
            }
        )
        # running best − threshold, in the `differential` rule; a plain estimate in the `static` one
        self.limit_shape = signed(params.widths.estimate_bits + 2)
        self.limits = data.StructLayout({"best": signed(params.widths.estimate_bits), "limit": self.limit_shape})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params, payloads = self.params, Payloads(self.params)
        m.submodules.survivors = survivors = CreditFifo(payloads.survivor_beats, params.depths.survivors)
        m.submodules.row_limits = row_limits = CreditFifo(self.limits, params.depths.rows)
        m.submodules.kept = kept = CreditFifo(payloads.kept_beats, params.depths.kept)
        self._early_drop(m, survivors, row_limits)
        self._final_check(m, survivors, row_limits, kept)
        self._serialise(m, kept)
        return m

    def _early_drop(self, m: Module, survivors: CreditFifo, row_limits: CreditFifo) -> None:
        """Beat by beat: best of the lanes, running best, threshold, survivors. Never stalls once a beat is in."""
        params, payloads = self.params, Payloads(self.params)
        accepted = Signal()
        row_ends = accepted & self.i_beat.payload.last
        m.d.comb += [
            self.i_beat.ready.eq(self.i_threshold.valid & survivors.o_credit & row_limits.o_credit),
            accepted.eq(self.i_beat.valid & self.i_beat.ready),
            self.i_threshold.ready.eq(row_ends),
            survivors.i_take.eq(accepted),
            row_limits.i_take.eq(row_ends),  # a row's limit needs a credit, too
        ]

        stage = data.StructLayout({"beat": payloads.estimate_beat, "threshold": payloads.threshold})
        current = Signal(stage, name="accepted_beat", reset_less=True)
        m.d.sync += [
            current.beat.eq(self.i_beat.payload),
            current.threshold.eq(self.i_threshold.payload),
        ]
        # A lane without a key can no longer be the best one.
        lanes = range(params.config.keys_per_cycle)
        least = Const(-(2 ** (params.widths.estimate_bits - 1)), signed(params.widths.estimate_bits))
        for lane in lanes:
            with m.If(~self.i_beat.payload.mask[lane]):
                m.d.sync += current.beat.estimates[lane].eq(least)
        m.d.comb += self.o_seen.eq(popcount(current.beat.mask, delayed(m, accepted, 1, "seen")))
        hops = params.pipeline
        current = delayed_data(m, current, hops.tree_send, "tree_send")
        best: list[Value] = [current.beat.estimates[lane] for lane in lanes]

        level = 0
        while len(best) > 1:
            halved: list[Value] = []
            for pair in range(len(best) // 2):
                name = f"best_{level}_{pair}"
                first, second = best[2 * pair : 2 * pair + 2]
                first_wins = register_exceeds(m, first, second, hops.beat_compare, f"{name}_first_wins")
                first, second = register(m, first, f"{name}_first"), register(m, second, f"{name}_second")
                halved.append(register(m, Mux(first_wins, first, second), name))
            if len(best) % 2:
                halved.append(delayed_data(m, best[-1], 2, f"best_{level}_alone"))
            best, current, level = halved, delayed_data(m, current, 2, f"beat_{level}"), level + 1
        best_valid = delayed(m, accepted, 1 + hops.tree_send + 2 * level, "best_valid")

        running = running_best(
            m, best[0], best_valid, current.beat.last, "running", ahead=hops.best_follow, reset_less=True
        )
        follows = LOOK_AHEAD * hops.best_follow
        running_beat = delayed_data(m, current, 1 + follows, "running_beat")

        limits = Signal(self.limits, reset_less=True)
        limited_beat = delayed_data(m, running_beat, 1, "limited_beat")
        limited_valid = delayed(m, best_valid, 2 + follows, "limited_valid")
        m.d.sync += limits.best.eq(running)
        if params.config.rule is Rule.STATIC:
            m.d.sync += limits.limit.eq(running_beat.threshold)
        else:
            m.d.sync += limits.limit.eq(running - running_beat.threshold)

        copies: list[Any] = [
            data.View(self.limits, copy) for copy in fan_out(m, limits.as_value(), "limits", hops.limit_send)
        ]
        limits = copies[0]
        limited_beat = delayed_data(m, limited_beat, hops.limit_send, "limits_beat")
        limited_valid = delayed(m, limited_valid, hops.limit_send, "limits_valid")
        passes = [
            self._passes(m, estimate, divided(copies, lane, len(lanes)), hops.limit_compare, f"passes_{lane}")
            for lane, estimate in enumerate(limited_beat.beat.estimates)
        ]
        limits = delayed_data(m, limits, hops.limit_compare, "limits_sent")
        limited_beat = delayed_data(m, limited_beat, hops.limit_compare, "limited_beat_sent")
        limited_valid = delayed(m, limited_valid, hops.limit_compare, "limited_valid_sent")
        survived = Signal(payloads.estimate_beat, reset_less=True)
        survived_valid = delayed(m, limited_valid, 1, "survived_valid")
        m.d.sync += survived.eq(limited_beat.beat)
        for lane in lanes:
            m.d.sync += survived.mask[lane].eq(limited_beat.beat.mask[lane] & passes[lane])

        if self.pairs:
            join_beats(m, survivors, survived, survived_valid, "survived")
            m.d.sync += self.o_survivors.eq(popcount(survived.mask, survived_valid))  # fewer lanes than two beats have
        else:
            _queue(m, survivors, survived, survived_valid, "survived")
            m.d.comb += self.o_survivors.eq(popcount(survivors.i.payload.mask, survivors.i.valid))
        m.d.comb += [
            row_limits.i.payload.eq(limits),
            row_limits.i.valid.eq(limited_valid & limited_beat.beat.last),
        ]

    def _final_check(self, m: Module, survivors: CreditFifo, row_limits: CreditFifo, kept: CreditFifo) -> None:
        """R queued beats per cycle against the row's final limit; beats that keep nothing go no further.

        Register slices `survivor_read` lie between the block RAM of the queue and the comparison. With `row_limit`, a
        row's first entry is taken so many cycles later after the row before ended.
        """
        hops = self.params.pipeline
        waiting = survivors.o.payload
        checked = Signal(Payloads(self.params).survivor_beats, reset_less=True)
        checked_valid = Signal()
        taken = Signal()
        row_ends, may_take = taken & waiting.last, row_limits.o.valid & kept.o_credit
        for cycle in range(hops.row_limit):  # the limit is released when the gap is over
            row_ends = delayed(m, row_ends, 1, f"row_checked_{cycle}" if cycle else "row_checked")
            may_take = may_take & ~row_ends
        m.d.comb += [
            survivors.o.ready.eq(may_take),
            taken.eq(survivors.o.valid & survivors.o.ready),
            row_limits.o.ready.eq(row_ends),
            kept.i_take.eq(taken),
        ]
        beat = delayed_data(m, waiting, hops.survivor_read, "compared_beat")
        limits = delayed_data(m, row_limits.o.payload, hops.survivor_read, "compared_limits")
        passes = [
            self._passes(m, beat.estimates[lane], limits, hops.final_compare, f"checked_{lane}")
            for lane in range(self.lanes)
        ]
        beat = delayed_data(m, beat, hops.final_compare, "halves_beat")
        on_their_way = hops.survivor_read + hops.final_compare
        m.d.sync += [checked.eq(beat), checked_valid.eq(delayed(m, taken, on_their_way, "compared_valid"))]
        for lane in range(self.lanes):
            m.d.sync += checked.mask[lane].eq(beat.mask[lane] & passes[lane])
        if self.pairs:
            carry_odd_key(m, self.params, kept, checked, checked_valid)
        else:
            _queue(m, kept, checked, checked_valid, "checked")

    def _serialise(self, m: Module, kept: CreditFifo) -> None:
        """Kept lanes of the oldest entry one item after the other, lowest first.

        Register slices `key_select` lie between the choice of an item and its queue.
        """
        params, payloads = self.params, Payloads(self.params)
        # `ready` goes no further back than to this queue
        m.submodules.output = output = Fifo(payloads.kept_key, params.depths.filter_output)
        wiring.connect(m, output.o, wiring.flipped(self.o_kept))
        item = slices_before(m, output.i, params.pipeline.key_select, "chosen")
        beat = Signal(payloads.kept_beats, name="leaving_beat", reset_less=True)
        holds = Signal()
        # Known ahead of the lanes that have not left: those of the next item, the others, whether it is the last item.
        masks = masks_of(kept.o.payload)
        leaving = [Signal(len(mask), name=f"leaving_{number}") for number, mask in enumerate(masks)]
        rest = [Signal(len(mask), name=f"rest_{number}") for number, mask in enumerate(masks)]
        only_one = Signal()
        beat_ends = Signal()
        m.d.comb += [
            beat_ends.eq(~holds | (item.ready & only_one)),
            kept.o.ready.eq(beat_ends),
            item.valid.eq(holds),
        ]
        kept_bits, estimates, keys = (slots(item.payload[name], len(leaving)) for name in ("kept", "estimate", "key"))
        m.d.comb += [
            *(bit.eq(mask.any()) for bit, mask in zip(kept_bits, leaving, strict=True)),
            item.payload.last.eq(beat.last & only_one),
            *(one.eq(chosen(mask, estimates_of(beat))) for one, mask in zip(estimates, leaving, strict=True)),
            *(key.eq(key_at(params, mask, beat)) for key, mask in zip(keys, leaving, strict=True)),
        ]

        def from_now_on(left: list[Any]) -> list[Any]:
            moves = []
            for mask, first, others in zip(left, leaving, rest, strict=True):
                behind = without_lowest(mask)
                moves += [first.eq(mask & ~behind), others.eq(behind)]
            return moves if self.pairs else [*moves, only_one.eq(~several(left[0]))]

        with m.If(beat_ends):
            m.d.sync += [beat.eq(kept.o.payload), holds.eq(kept.o.valid), from_now_on(masks)]
        with m.Elif(item.ready):
            m.d.sync += from_now_on(rest)
        if self.pairs:  # counted ahead: the masks alone would say it late
            left = Signal(params.widths.pairs_bits)
            with m.If(beat_ends):
                m.d.sync += [left.eq(kept.o.payload.pairs), only_one.eq(~kept.o.payload.pairs[1:].any())]
            with m.Elif(item.ready):
                m.d.sync += [left.eq(left - 1), only_one.eq(left == 2)]

    def _passes(self, m: Module, estimate: Value, limits: Any, halves: int, name: str) -> Value:
        """With `halves`, a cycle later."""
        passes = reaches(m, estimate, limits.limit, halves, name)
        if self.params.config.rule is Rule.STATIC:
            passes = passes | reaches(m, estimate, limits.best, halves, f"{name}_as_best")
        return passes


def _queue(m: Module, queue: CreditFifo, beat: Any, valid: Value, name: str) -> None:
    """Send a beat to its queue, one register later, if it has a key or ends its row; else return its credit."""
    needed = beat.last | Value.cast(beat.mask).any()
    m.d.comb += [
        queue.i.payload.eq(delayed_data(m, beat, 1, f"{name}_queued")),
        queue.i.valid.eq(delayed(m, valid & needed, 1, f"{name}_needed")),
        queue.i_return.eq(delayed(m, valid & ~needed, 1, f"{name}_cancelled")),
    ]
