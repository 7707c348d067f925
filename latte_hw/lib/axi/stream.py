"""AXI4-Stream: the signature of a port, and the gearbox between rows and beats."""

from math import gcd
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class AxiStream(wiring.Signature):
    """An AXI4-Stream port as its transmitter sees it: byte i of a beat in bits 8·i to 8·i + 7 of `tdata`.

    `tkeep` marks the bytes that are there; `tlast` the last beat of a packet.
    """

    def __init__(self, bits: int) -> None:
        super().__init__(
            {"tdata": Out(bits), "tkeep": Out(bits // 8), "tlast": Out(1), "tvalid": Out(1), "tready": In(1)}
        )


class Gearbox(wiring.Component):
    """Cuts a sequence of words of `in_bytes` into words of `out_bytes`, lowest byte first, without gaps.

    Bytes lie in a shift register, counted in units of the greatest common divisor. What lies above the last byte is 0,
    so that the rest of a sequence may be taken as a word filled up with zeros.

    Members
    -------
    i_put, i_data, o_credit
        Append a word; only in a cycle with `o_credit`.
    i_take, o_data, o_full
        Remove a word. `o_full` says that a whole one is there; to take less, nothing may be put in the same cycle.
    o_fill
        Units that are there.
    i_clear
        Empty it.

    Latency: 1 cycle. Throughput: the lesser of one word in and one word out per cycle, whatever the ratio. No path
    from `i_take` to `o_credit` or from `i_put` to `o_full`.
    """

    def __init__(self, in_bytes: int, out_bytes: int) -> None:
        self.in_bytes, self.out_bytes = in_bytes, out_bytes
        self.unit_bytes = gcd(in_bytes, out_bytes)
        self.in_units, self.out_units = in_bytes // self.unit_bytes, out_bytes // self.unit_bytes
        # Space for the greater word and for one of the lesser on either side of it, so that neither side waits.
        self.units = max(self.in_units, self.out_units) + 2 * min(self.in_units, self.out_units) - 1
        super().__init__(
            {
                "i_put": In(1),
                "i_data": In(8 * in_bytes),
                "o_credit": Out(1),
                "i_take": In(1),
                "o_data": Out(8 * out_bytes),
                "o_full": Out(1),
                "o_fill": Out(range(self.units + 1)),
                "i_clear": In(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        unit_bits = 8 * self.unit_bytes
        held = Signal(self.units * unit_bits)
        fill = Signal(range(self.units + 1))
        kept = Signal.like(held)
        start = Signal.like(fill)  # of a word that is put
        shifted = Signal.like(held)
        m.d.comb += [
            self.o_credit.eq(fill <= self.units - self.in_units),
            self.o_full.eq(fill >= self.out_units),
            self.o_fill.eq(fill),
            self.o_data.eq(held[: 8 * self.out_bytes]),
            kept.eq(Mux(self.i_take, held >> (8 * self.out_bytes), held)),
            start.eq(Mux(self.i_take, Mux(self.o_full, fill - self.out_units, 0), fill)),
        ]
        with m.Switch(start):
            last = self.units - self.in_units
            for unit in range(last + 1):
                with m.Case(unit) if unit < last else m.Default():
                    m.d.comb += shifted[unit * unit_bits : (unit + self.in_units) * unit_bits].eq(self.i_data)
        m.d.sync += [held.eq(kept | Mux(self.i_put, shifted, 0)), fill.eq(start + Mux(self.i_put, self.in_units, 0))]
        with m.If(self.i_clear):
            m.d.sync += [held.eq(0), fill.eq(0)]
        return m
