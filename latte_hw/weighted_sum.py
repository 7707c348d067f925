"""Weighted sum of the values of a row's kept keys, divided by the total weight."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.config import TOTAL_BITS
from latte_hw.kv_store import ReadPort
from latte_hw.params import HeadParams
from latte_hw.payloads import Payloads
from latte_hw.streams import SPREAD, ReservedFifo, Valid, delayed, delayed_data, spread


class WeightedSum(wiring.Component):
    """`out[d] = round(Σ prob·v[d] · 2^F / Σ prob)`, ties upwards, F = `out_fraction_bits`; 0 for a row without a key.

    Members
    -------
    i_row
        What a row needs beside its weights, in the order of the rows.
    i_weighted
        Weights, from the softmax.
    value_port
        Reads V.
    o_out
        One row per query.
    o_free
        High for one cycle when the values of a released K/V buffer have been read.

    Latency: `params.weighted_sum_latency` from a row's last weight to its output, then the output queue.
    Throughput: a row takes max(items, `normalise_cycles`) cycles.
    """

    def __init__(self, params: HeadParams) -> None:
        self.params = params
        payloads = Payloads(params)
        super().__init__(
            {
                "i_row": In(stream.Signature(payloads.row_end)),
                "i_weighted": In(stream.Signature(payloads.weighted_key)),
                "value_port": Out(ReadPort(params.key_bits, payloads.element_row)),
                "o_out": Out(stream.Signature(payloads.out_row)),
                "o_free": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params, payloads = self.params, Payloads(self.params)
        m.submodules.landing = landing = ReservedFifo(payloads.out_row, params.out_queue_depth)
        wiring.connect(m, landing.o, wiring.flipped(self.o_out))
        m.submodules.normaliser = normaliser = Normaliser(params)

        # A row may end only if the normaliser will be free by the time its sums arrive. That takes the same time for
        # every row, so it is enough that row ends keep `normalise_cycles` apart.
        item, row = self.i_weighted.payload, self.i_row.payload
        cooldown = Signal(range(params.normalise_cycles + 1))
        taken, row_ends, released_empty = Signal(), Signal(), Signal()
        may_end = ~cooldown.any() & landing.o_room
        m.d.comb += [
            taken.eq(self.i_weighted.valid & self.i_row.valid & ~row.empty & (~item.last | may_end)),
            row_ends.eq(taken & item.last),
            released_empty.eq(self.i_row.valid & row.empty),
            self.i_weighted.ready.eq(taken),
            self.i_row.ready.eq(row_ends | released_empty),
            landing.i_reserve.eq(row_ends),
            self.o_free.eq((row_ends & row.release) | (released_empty & row.release)),
            self.value_port.buffer.eq(row.buffer),
            self.value_port.address.eq(item.key),
        ]
        with m.If(row_ends):
            m.d.sync += cooldown.eq(params.normalise_cycles - 1)
        with m.Elif(cooldown != 0):
            m.d.sync += cooldown.eq(cooldown - 1)

        self._accumulate(m, taken, normaliser)
        m.d.comb += [landing.i.valid.eq(normaliser.o.valid), landing.i.payload.eq(normaliser.o.payload)]
        return m

    def _accumulate(self, m: Module, taken: Value, normaliser: "Normaliser") -> None:
        """Read, multiply, add up: one register each."""
        params = self.params
        item = self.i_weighted.payload
        control = Signal(data.StructLayout({"valid": 1, "first": 1, "last": 1, "job_last": 1}))
        row_starts = Signal(init=1)
        with m.If(taken):
            m.d.sync += row_starts.eq(item.last)
        m.d.comb += [
            control.valid.eq(taken),
            control.first.eq(row_starts),
            control.last.eq(item.last),
            control.job_last.eq(self.i_row.payload.last),
        ]
        reading_control = delayed(m, control, params.store_latency - 1, "control_reading")
        read_control = delayed(m, reading_control, 1, "control_read")
        # What is not taken weighs nothing, so the sums may go on adding it.
        prob = delayed_data(m, Mux(taken, item.prob, 0), params.store_latency - 2, "prob_reading")
        product_control = delayed(m, read_control, 1, "control_product")
        sum_control = delayed(m, product_control, 1, "control_sum")

        total, sums = accumulate(m, params, prob, self.value_port.data, reading_control.first)
        row_ends = product_control.valid & product_control.last
        m.d.comb += [
            normaliser.i_load.eq(Cat(spread(m, row_ends, "row_ends"))),
            normaliser.i.sums.eq(sums),
            normaliser.i.total.eq(total),
            normaliser.i.last.eq(sum_control.job_last),
        ]


def accumulate(
    m: Module, params: HeadParams, prob: Value, value: Any, first: Value, prefix: str = ""
) -> tuple[Signal, Any]:
    """Σ prob and Σ prob·v[d] of a row, four cycles after `prob`; `first` (restart) comes one, `value` two cycles later.

    Takes part in every cycle: whoever has nothing to add sends a `prob` of 0.
    """
    head_dim = params.config.head_dim
    total = Signal(unsigned(params.prob_sum_bits), name=f"{prefix}total")
    sums = Signal(data.ArrayLayout(signed(params.accumulator_bits), head_dim), name=f"{prefix}sums", reset_less=True)
    probs = spread(m, prob, f"{prefix}prob", levels=2)
    firsts = spread(m, first, f"{prefix}first", levels=2)
    product_prob = delayed_data(m, probs[0], 1, f"{prefix}prob_product")
    m.d.sync += total.eq(Mux(firsts[0], 0, total) + product_prob)
    for d in range(head_dim):
        copy = d * len(probs) // head_dim
        product = Signal(signed(params.config.prob_bits + TOTAL_BITS), name=f"{prefix}product_{d}", reset_less=True)
        m.d.sync += [
            product.eq(probs[copy] * value[d]),
            sums[d].eq(Mux(firsts[copy], 0, sums[d]) + product),
        ]
    return total, sums


class Normaliser(wiring.Component):
    """Divides the sums of a row by its total weight, `normalise_lanes` elements per cycle.

    Each lane is a pipeline of long division, one quotient bit per stage. To keep every number positive it divides
    `2^(F+1)·sum + total·(1 + 2^(8+F))` by `2·total`: the quotient is the rounded result plus 2^(7+F).

    A row `i` is taken when `i_load` is high: the same bit, once for every quarter of the sums. Rows must come at least
    `normalise_cycles` apart. Latency: `params.normaliser_latency`.
    """

    def __init__(self, params: HeadParams) -> None:
        self.params = params
        payloads = Payloads(params)
        sums = data.ArrayLayout(signed(params.accumulator_bits), params.config.head_dim)
        super().__init__(
            {
                "i_load": In(SPREAD),
                "i": In(data.StructLayout({"sums": sums, "total": params.prob_sum_bits, "last": 1})),
                "o": Out(Valid(payloads.out_row)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params = self.params
        head_dim, lanes, phases = params.config.head_dim, params.normalise_lanes, params.normalise_cycles
        fraction_bits, quotient_bits = params.config.out_fraction_bits, params.out_bits

        # The sums move up by `lanes` elements per cycle, so that every lane always takes from the same place.
        width = params.accumulator_bits
        held = Signal(width * lanes * phases, reset_less=True)
        total = Signal(params.prob_sum_bits)
        offset = Signal(params.prob_sum_bits + 1 + quotient_bits)
        phase = Signal(range(phases + 1), init=phases)
        job_last = Signal()
        for d in range(lanes * phases):
            moved = held[(d + lanes) * width :][:width] if d + lanes < lanes * phases else Const(0, width)
            if d < head_dim:
                moved = Mux(self.i_load[d * SPREAD // head_dim], self.i.sums[d], moved)
            m.d.sync += held[d * width :][:width].eq(moved)
        with m.If(self.i_load[0]):
            m.d.sync += [
                total.eq(self.i.total),
                offset.eq(self.i.total + (self.i.total << quotient_bits)),
                phase.eq(0),
                job_last.eq(self.i.last),
            ]
        with m.Elif(phase != phases):
            m.d.sync += phase.eq(phase + 1)

        active = phase != phases
        numerators = []
        for lane in range(lanes):
            numerator = Signal(params.prob_sum_bits + 1 + quotient_bits, name=f"numerator_{lane}", reset_less=True)
            element = held[lane * width : (lane + 1) * width].as_signed()
            m.d.sync += numerator.eq((element << (fraction_bits + 1)) + offset)
            numerators.append(numerator)
        divisor = delayed_data(m, total, 1, "divisor")
        quotients = self._divide(m, numerators, divisor)

        # One stage before the division, quotient_bits stages of it, then the row fills from the top.
        latency = 1 + quotient_bits
        arrived = delayed(m, active, latency, "active")
        row_ends = delayed(m, phase == phases - 1, latency, "row_ends")
        row_last = delayed_data(m, job_last, latency, "job_last")
        row = Signal(params.out_bits * lanes * phases, reset_less=True)
        with m.If(arrived):
            m.d.sync += row.eq(Cat(row, *quotients)[params.out_bits * lanes :])
        m.d.comb += [
            self.o.valid.eq(delayed(m, row_ends, 1, "row_complete")),
            Value.cast(self.o.payload.row).eq(row[: params.out_bits * head_dim]),
            self.o.payload.last.eq(delayed_data(m, row_last, 1, "row_complete_last")),
        ]
        return m

    def _divide(self, m: Module, numerators: list[Signal], total: Value) -> list[Value]:
        """`numerator // (2·total) − 2^(out_bits − 1)`, or 0 if `total` is 0; `out_bits` cycles later."""
        params = self.params
        bits = params.out_bits
        # The quotient fits in `bits` bits, so what lies above the lowest `bits` bits is a first remainder.
        remainders: list[Value] = [numerator[bits:] for numerator in numerators]
        digits: list[Value] = [numerator[:bits] for numerator in numerators]  # dividend bits left, then quotient bits
        for stage in range(bits):
            for lane in range(len(numerators)):
                shifted = Cat(digits[lane][bits - 1], remainders[lane])
                trial = shifted - (total << 1)
                fits = ~trial[-1]
                remainder = Signal(params.prob_sum_bits + 1, name=f"remainder_{lane}_{stage}", reset_less=True)
                digit = Signal(bits, name=f"digits_{lane}_{stage}", reset_less=True)
                m.d.sync += [
                    remainder.eq(Mux(fits, trial, shifted)),
                    digit.eq(Cat(fits, digits[lane][: bits - 1])),
                ]
                remainders[lane], digits[lane] = remainder, digit
            total = delayed_data(m, total, 1, f"divisor_{stage}")
        # Subtracting 2^(bits − 1) flips the top bit. An empty row divides by zero, which yields garbage.
        return [Mux(total.any(), Cat(digit[: bits - 1], ~digit[bits - 1]), 0) for digit in digits]
