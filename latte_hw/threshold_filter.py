"""The head-wise threshold filter: early drop against the running maximum, final check against the row's best."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.arith import register
from latte_hw.config import Rule
from latte_hw.params import HeadParams
from latte_hw.payloads import Payloads
from latte_hw.streams import Fifo, ReservedFifo, delayed, delayed_data


class HeadThresholdFilter(wiring.Component):
    """Keeps a key iff `best − estimate <= threshold` (`differential`), or `estimate >= threshold` or it is the row's
    best (`static`).

    A key that fails against the best estimate *so far*, its own beat included, can never pass; it is dropped at once.
    The survivors of a beat are queued, checked again when the row's best is known, P lanes at a time, and the kept
    ones leave one per cycle in the order of the keys.

    Members
    -------
    i_threshold
        τ_int of each row, taken with the row's last beat.
    i_beat
        Estimates, from the estimator.
    o_kept
        Kept keys; see :mod:`latte_hw.payloads` for how a row ends.
    o_seen, o_survivors
        Event counts: valid keys of the beat taken in the cycle before, keys that pass the early drop now.

    Throughput: a row takes max(beats, items) cycles: its items are the kept keys, and an end marker if its last beat
    keeps nothing. The two arms are decoupled by queues of `survivor_depth` and `kept_depth` beats.
    Latency: `params.filter_latency` from a beat to its survivors, then three queues and two registers.
    """

    def __init__(self, params: HeadParams) -> None:
        self.params = params
        payloads = Payloads(params)
        count = range(params.config.keys_per_cycle + 1)
        super().__init__(
            {
                "i_threshold": In(stream.Signature(payloads.threshold)),
                "i_beat": In(stream.Signature(payloads.estimate_beat)),
                "o_kept": Out(stream.Signature(payloads.kept_key)),
                "o_seen": Out(Shape.cast(count)),
                "o_survivors": Out(Shape.cast(count)),
            }
        )
        # running best − threshold, in the `differential` rule; a plain estimate in the `static` one
        self.limit_shape = signed(params.estimate_bits + 2)
        self.limits = data.StructLayout({"best": signed(params.estimate_bits), "limit": self.limit_shape})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params, payloads = self.params, Payloads(self.params)
        m.submodules.survivors = survivors = ReservedFifo(payloads.estimate_beat, params.survivor_depth)
        m.submodules.row_limits = row_limits = ReservedFifo(self.limits, params.rows_in_flight)
        m.submodules.kept = kept = ReservedFifo(payloads.estimate_beat, params.kept_depth)
        self._early_drop(m, survivors, row_limits)
        self._final_check(m, survivors, row_limits, kept)
        self._serialise(m, kept)
        return m

    def _early_drop(self, m: Module, survivors: ReservedFifo, row_limits: ReservedFifo) -> None:
        """Beat by beat: best of the lanes, running best, threshold, survivors. Never stalls once a beat is in."""
        params, payloads = self.params, Payloads(self.params)
        accepted = Signal()
        row_ends = accepted & self.i_beat.payload.last
        m.d.comb += [
            self.i_beat.ready.eq(self.i_threshold.valid & survivors.o_room & row_limits.o_room),
            accepted.eq(self.i_beat.valid & self.i_beat.ready),
            self.i_threshold.ready.eq(row_ends),
            survivors.i_reserve.eq(accepted),
            row_limits.i_reserve.eq(row_ends),  # a row's limit needs a place too
        ]

        stage = data.StructLayout({"beat": payloads.estimate_beat, "threshold": payloads.threshold})
        current = Signal(stage, name="accepted_beat", reset_less=True)
        m.d.sync += [
            current.beat.eq(self.i_beat.payload),
            current.threshold.eq(self.i_threshold.payload),
        ]
        # A lane without a key can no longer be the best one.
        lanes = range(params.config.keys_per_cycle)
        least = Const(-(2 ** (params.estimate_bits - 1)), signed(params.estimate_bits))
        for lane in lanes:
            with m.If(~self.i_beat.payload.mask[lane]):
                m.d.sync += current.beat.estimates[lane].eq(least)
        best: list[Value] = [current.beat.estimates[lane] for lane in lanes]
        m.d.comb += self.o_seen.eq(_popcount(current.beat.mask, delayed(m, accepted, 1, "seen")))

        level = 0
        while len(best) > 1:
            halved: list[Value] = []
            for pair in range(len(best) // 2):
                name = f"best_{level}_{pair}"
                first, second = best[2 * pair : 2 * pair + 2]
                first_wins = register(m, first > second, f"{name}_first_wins")
                first, second = register(m, first, f"{name}_first"), register(m, second, f"{name}_second")
                halved.append(register(m, Mux(first_wins, first, second), name))
            if len(best) % 2:
                halved.append(delayed_data(m, best[-1], 2, f"best_{level}_alone"))
            best, current, level = halved, delayed_data(m, current, 2, f"beat_{level}"), level + 1
        best_valid = delayed(m, accepted, 1 + 2 * level, "best_valid")

        running = Signal(signed(params.estimate_bits), reset_less=True)
        row_starts = Signal(init=1)
        with m.If(best_valid):
            m.d.sync += row_starts.eq(current.beat.last)
            with m.If(row_starts | (best[0] > running)):
                m.d.sync += running.eq(best[0])
        running_beat = delayed_data(m, current, 1, "running_beat")

        limits = Signal(self.limits, reset_less=True)
        limited_beat = delayed_data(m, running_beat, 1, "limited_beat")
        limited_valid = delayed(m, best_valid, 2, "limited_valid")
        m.d.sync += limits.best.eq(running)
        if params.config.rule is Rule.STATIC:
            m.d.sync += limits.limit.eq(running_beat.threshold)
        else:
            m.d.sync += limits.limit.eq(running - running_beat.threshold)

        survived = Signal(payloads.estimate_beat, reset_less=True)
        survived_valid = delayed(m, limited_valid, 1, "survived_valid")
        m.d.sync += survived.eq(limited_beat.beat)
        for lane in range(params.config.keys_per_cycle):
            passes = self._passes(limited_beat.beat.estimates[lane], limits)
            m.d.sync += survived.mask[lane].eq(limited_beat.beat.mask[lane] & passes)

        _queue(m, survivors, survived, survived_valid, "survived")
        m.d.comb += [
            self.o_survivors.eq(_popcount(survivors.i.payload.mask, survivors.i.valid)),
            row_limits.i.payload.eq(limits),
            row_limits.i.valid.eq(limited_valid & limited_beat.beat.last),
        ]

    def _final_check(self, m: Module, survivors: ReservedFifo, row_limits: ReservedFifo, kept: ReservedFifo) -> None:
        """One queued beat per cycle against the row's final limit; beats that keep nothing go no further."""
        beat = survivors.o.payload
        checked = Signal(Payloads(self.params).estimate_beat, reset_less=True)
        checked_valid = Signal()
        taken = Signal()
        m.d.comb += [
            survivors.o.ready.eq(row_limits.o.valid & kept.o_room),
            taken.eq(survivors.o.valid & survivors.o.ready),
            row_limits.o.ready.eq(taken & beat.last),
            kept.i_reserve.eq(taken),
        ]
        m.d.sync += [checked.eq(beat), checked_valid.eq(taken)]
        for lane in range(self.params.config.keys_per_cycle):
            passes = self._passes(beat.estimates[lane], row_limits.o.payload)
            m.d.sync += checked.mask[lane].eq(beat.mask[lane] & passes)
        _queue(m, kept, checked, checked_valid, "checked")

    def _serialise(self, m: Module, kept: ReservedFifo) -> None:
        """Kept lanes of a beat one after the other, lowest first."""
        params, payloads = self.params, Payloads(self.params)
        m.submodules.output = output = Fifo(
            payloads.kept_key, params.filter_output_depth
        )  # `ready` goes no further back
        wiring.connect(m, output.o, wiring.flipped(self.o_kept))
        lanes = params.config.keys_per_cycle
        beat = Signal(payloads.estimate_beat, name="leaving_beat", reset_less=True)
        holds = Signal()
        # Of the lanes that have not left the lowest, the others, and whether there are none: known ahead.
        lowest, rest, only_one = Signal(lanes), Signal(lanes), Signal()
        mask = Value.cast(kept.o.payload.mask)
        beat_ends = Signal()
        m.d.comb += [
            beat_ends.eq(~holds | (output.i.ready & only_one)),
            kept.o.ready.eq(beat_ends),
            output.i.valid.eq(holds),
            output.i.payload.kept.eq(lowest.any()),
            output.i.payload.last.eq(beat.last & only_one),
            output.i.payload.estimate.eq(_chosen(lowest, beat.estimates)),
        ]
        lane = _chosen(lowest, [Const(number, max(1, params.lane_bits)) for number in range(lanes)])
        if lanes == 1:
            m.d.comb += output.i.payload.key.eq(beat.first_key)
        elif lanes == 1 << params.lane_bits:  # beats start at multiples of the lanes: no addition
            m.d.comb += output.i.payload.key.eq(Cat(lane, beat.first_key[params.lane_bits :]))
        else:
            m.d.comb += output.i.payload.key.eq(beat.first_key + lane)

        def from_now_on(left: Value) -> list[Any]:
            others = _without_lowest(left)
            return [lowest.eq(left & ~others), rest.eq(others), only_one.eq(~_several(list(left))[1])]

        with m.If(beat_ends):
            m.d.sync += [beat.eq(kept.o.payload), holds.eq(kept.o.valid), from_now_on(mask)]
        with m.Elif(output.i.ready):
            m.d.sync += from_now_on(rest)

    def _passes(self, estimate: Value, limits: Any) -> Value:
        passes = estimate >= limits.limit
        if self.params.config.rule is Rule.STATIC:
            passes = passes | (estimate >= limits.best)
        return passes


def _queue(m: Module, queue: ReservedFifo, beat: Any, valid: Value, name: str) -> None:
    """Send a beat to its queue, one register later, if it has a key or ends its row; else its place is given back."""
    needed = beat.last | Value.cast(beat.mask).any()
    m.d.comb += [
        queue.i.payload.eq(delayed_data(m, beat, 1, f"{name}_queued")),
        queue.i.valid.eq(delayed(m, valid & needed, 1, f"{name}_needed")),
        queue.i_cancel.eq(delayed(m, valid & ~needed, 1, f"{name}_cancelled")),
    ]


def _without_lowest(mask: Value) -> Value:
    """The mask without its lowest bit that is set."""
    return Cat(mask[lane] & mask[:lane].any() for lane in range(len(mask)))


def _chosen(places: Value, values: Any) -> Value:
    """The value at the one place that is set; 0 without one."""
    every = [Value.cast(values[place]) & bit.replicate(len(values[place])) for place, bit in enumerate(places)]
    return reduce(or_, every)


def _several(bits: list[Value]) -> tuple[Value, Value]:
    """Whether any bit is set, and whether more than one is: a tree."""
    if len(bits) == 1:
        return bits[0], Const(0, 1)
    (first, more_first), (second, more_second) = (_several(bits[side::2]) for side in range(2))
    return first | second, more_first | more_second | (first & second)


def _popcount(mask: Any, enable: Value) -> Value:
    return sum((bit & enable for bit in Value.cast(mask)), start=Const(0, 1))
