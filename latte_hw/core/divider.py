"""Division of a row's sums by its total weight, and the row put together again."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.core.payloads import Payloads
from latte_hw.lib.streams import Valid, delayed, delayed_data
from latte_hw.params import CoreParams


def sums_of_group(params: CoreParams, tag: data.StructLayout) -> data.StructLayout:
    """The complete sums of one group of a row's elements, with the row's total weight and the caller's tag."""
    elements = data.ArrayLayout(signed(params.widths.accumulator_bits), params.division.lanes)
    return data.StructLayout({"sums": elements, "total": params.widths.prob_sum_bits, "row_end": 1, "tag": tag})


class Divider(wiring.Component):
    """Divides the sums of a group by the total weight of their row, one group per cycle, and collects rows.

    Each lane is a pipeline of long division, one quotient bit per stage. To keep every number positive it divides
    `2^(F+1)·sum + total·(1 + 2^(8+F))` by `2·total`: the quotient is the rounded result plus 2^(7+F).

    Groups of `rows` rows come in turns, a group of one row `rows` cycles after its group before, and a turn
    without a row comes all the same: so a row is every `rows`-th entry of one shift register.

    Members
    -------
    i
        Groups; `row_end` marks the last group of a row.
    o
        Rows, with the tag of their last group.

    Latency: 3 + `out_bits` cycles from a row's last group to the row. Throughput: one group per cycle.
    """

    def __init__(self, params: CoreParams, tag: data.StructLayout, rows: int = 1) -> None:
        self.params = params
        self.rows = rows
        row = data.StructLayout({"row": Payloads(params).out_row["row"].shape, "tag": tag})
        super().__init__({"i": In(Valid(sums_of_group(params, tag))), "o": Out(Valid(row))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params, group = self.params, self.i.payload
        lanes, phases = params.division.lanes, params.division.cycles
        fraction_bits, bits = params.config.out_fraction_bits, params.widths.out_bits

        offset = Signal(params.widths.prob_sum_bits + 1 + bits, reset_less=True)
        m.d.sync += offset.eq(group.total + (group.total << bits))
        sums = delayed_data(m, group.sums, 1, "sums")
        numerators = []
        for lane in range(lanes):
            numerator = Signal(params.widths.prob_sum_bits + 1 + bits, name=f"numerator_{lane}", reset_less=True)
            m.d.sync += numerator.eq((sums[lane] << (fraction_bits + 1)) + offset)
            numerators.append(numerator)
        quotients = self._divide(m, numerators, delayed_data(m, group.total, 2, "total"))

        latency = 2 + bits
        arrived = delayed(m, self.i.valid, latency, "arrived")
        ends = delayed(m, self.i.valid & group.row_end, latency + 1, "ends")
        entries = phases * self.rows
        width = bits * lanes
        filled = Signal(width * entries, reset_less=True)
        with m.If(arrived):
            m.d.sync += filled.eq(Cat(filled, *quotients)[width:])
        own = [filled[width * entry :][:width] for entry in range(self.rows - 1, entries, self.rows)]
        m.d.comb += [
            self.o.valid.eq(ends),
            Value.cast(self.o.payload.row).eq(Cat(*own)[: bits * params.config.head_dim]),
            self.o.payload.tag.eq(delayed_data(m, group.tag, latency + 1, "tag")),
        ]
        return m

    def _divide(self, m: Module, numerators: list[Signal], total: Value) -> list[Value]:
        """`numerator // (2·total) − 2^(out_bits − 1)`, or 0 if `total` is 0; `out_bits` cycles later."""
        params = self.params
        bits = params.widths.out_bits
        weighs_ahead = delayed_data(m, total.any(), bits, "weighs") if params.pipeline.divisor_check else None
        # The quotient fits in `bits` bits, so what lies above the lowest `bits` bits is a first remainder.
        remainders: list[Value] = [numerator[bits:] for numerator in numerators]
        digits: list[Value] = [numerator[:bits] for numerator in numerators]  # dividend bits left, then quotient bits
        for stage in range(bits):
            for lane in range(len(numerators)):
                shifted = Cat(digits[lane][bits - 1], remainders[lane])
                trial = shifted - (total << 1)
                fits = ~trial[-1]
                remainder = Signal(params.widths.prob_sum_bits + 1, name=f"remainder_{lane}_{stage}", reset_less=True)
                digit = Signal(bits, name=f"digits_{lane}_{stage}", reset_less=True)
                m.d.sync += [
                    remainder.eq(Mux(fits, trial, shifted)),
                    digit.eq(Cat(fits, digits[lane][: bits - 1])),
                ]
                remainders[lane], digits[lane] = remainder, digit
            total = delayed_data(m, total, 1, f"divisor_{stage}")
        # Subtracting 2^(bits − 1) flips the top bit. An empty row divides by zero, which yields garbage.
        weighs = total.any() if weighs_ahead is None else weighs_ahead
        return [Mux(weighs, Cat(digit[: bits - 1], ~digit[bits - 1]), 0) for digit in digits]
