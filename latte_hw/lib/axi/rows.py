"""Rows in and out of AXI4-Stream packets.

A packet is a number of rows, one behind the other without gaps, element 0 first: byte i of the packet lies in byte lane
i mod (stream_bits / 8) of beat i // (stream_bits / 8). `tkeep` is full in every beat but that of the last byte, and
contiguous from lane 0 in that one. `tlast` marks that beat, or a beat without bytes right behind it, as AXI4-Stream
allows. A row may begin in the middle of a beat. Rows of 12 bytes in beats of 64 bits, for example (row.element)::

    tdata   63:56  55:48  47:40  39:32  31:24  23:16  15:8    7:0
    beat 0    0.7    0.6    0.5    0.4    0.3    0.2    0.1    0.0
    beat 1    1.3    1.2    1.1    1.0   0.11   0.10    0.9    0.8
    beat 2   1.11   1.10    1.9    1.8    1.7    1.6    1.5    1.4

Elements of two bytes have the lower one first.
"""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Shape, ShapeLike, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.lib.arith import multiple
from latte_hw.lib.axi.stream import AxiStream, Gearbox
from latte_hw.lib.streams import StreamRegister


def row_bytes(shape: ShapeLike) -> int:
    """Bytes of a row, which must be whole."""
    width = Shape.cast(shape).width
    if width % 8:
        raise ValueError(f"a row must have a whole number of bytes, not {width} bits")
    return width // 8


class RowUnpacker(wiring.Component):
    """Rows of a packet. However the packet looks, exactly as many rows come out as were asked for.

    Members
    -------
    i_packet
        Rows of the next packet, at least 1; taken when the packet has passed to its `tlast`. Nothing is taken from `i`
        before it is offered.
    i
        The packet.
    o
        Its rows.
    o_short, o_long, o_hole
        High for one cycle when the packet ends before its rows do (what is missing reads as 0); when bytes follow
        behind them (the rest, up to `tlast`, is dropped); when `tkeep` has a gap, or is not full before the last byte
        that is due (the beat is taken as if it were full), or a beat without bytes is not the last.
    o_range
        Only with `out_of_range`, a condition on a byte: high for one cycle, one behind the other three, when it is true
        of a byte of a beat that becomes part of a row.

    Latency: 3 cycles from the last beat of a row. Throughput: the lesser of one beat and one row per cycle; four
    cycles more per packet.
    """

    def __init__(
        self, shape: ShapeLike, stream_bits: int, max_rows: int, out_of_range: Callable[[Value], Value] | None = None
    ) -> None:
        self.shape = shape
        self.row_bytes, self.beat_bytes = row_bytes(shape), stream_bits // 8
        self.max_rows = max_rows
        self.out_of_range = out_of_range
        super().__init__(
            {
                "i_packet": In(stream.Signature(range(max_rows + 1))),
                "i": In(AxiStream(stream_bits)),
                "o": Out(stream.Signature(shape)),
                "o_short": Out(1),
                "o_long": Out(1),
                "o_hole": Out(1),
            }
            | ({"o_range": Out(1)} if out_of_range else {})
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.gearbox = gearbox = Gearbox(self.beat_bytes, self.row_bytes)
        begun = Signal()  # a packet is being read
        more = Signal()  # rows of it are left
        complete = Signal()  # no further byte is due
        rows_left = Signal(range(self.max_rows + 1))
        bytes_left = Signal(range(self.max_rows * self.row_bytes + 1))
        beat, held, taken = self._beat(m, begun)

        put = Signal()
        due = Signal()
        reported = Signal()  # that it is too long
        m.d.comb += [
            put.eq(held & ~complete & gearbox.o_credit),
            taken.eq(held & (complete | gearbox.o_credit)),
            due.eq(bytes_left <= self.beat_bytes),
            gearbox.i_put.eq(put),
            gearbox.i_data.eq(beat.data),
            self.o.valid.eq(more & (gearbox.o_full | complete)),
            Value.cast(self.o.payload).eq(gearbox.o_data),
            gearbox.i_take.eq(self.o.valid & self.o.ready),
            self.i_packet.ready.eq(begun & complete & ~more & ~held & ~beat.open),
            gearbox.i_clear.eq(self.i_packet.ready),
        ]
        with m.If(put):
            m.d.sync += [bytes_left.eq(bytes_left - self.beat_bytes), complete.eq(due | beat.last)]
        with m.If(gearbox.i_take):
            m.d.sync += [rows_left.eq(rows_left - 1), more.eq(rows_left != 1)]
        with m.If(~begun):
            rows = self.i_packet.payload
            m.d.sync += [begun.eq(self.i_packet.valid), more.eq(self.i_packet.valid), complete.eq(0), reported.eq(0)]
            m.d.sync += [rows_left.eq(rows), bytes_left.eq(multiple(rows, self.row_bytes))]
        with m.Elif(self.i_packet.ready):
            m.d.sync += begun.eq(0)

        # What is due fills `expected` lanes of the beat. Behind it, a beat without bytes may still bring `tlast`.
        expected = Cat(bytes_left > lane for lane in range(self.beat_bytes))
        lacks, exceeds = (Signal(name=name) for name in ("lacks", "exceeds"))
        rest = taken & complete
        m.d.comb += [
            lacks.eq(~due | (~beat.gap & (expected & ~beat.keep).any())),
            exceeds.eq(due & ~beat.gap & (~expected & beat.keep).any()),
        ]
        long = (put & exceeds) | (rest & ~beat.empty & ~reported)
        m.d.sync += [
            self.o_short.eq(put & beat.last & lacks),
            self.o_long.eq(long),
            self.o_hole.eq((put & (beat.gap | (~beat.last & beat.partial & lacks))) | (rest & beat.empty & ~beat.last)),
        ]
        with m.If(long):
            m.d.sync += reported.eq(1)
        if self.out_of_range:
            self._check_range(m, put, beat.data, expected)
        return m

    def _check_range(self, m: Module, put: Value, beat_bytes: Value, expected: Value) -> None:
        """Judges the lanes, then the beat, with registers between: nobody waits for it, and it must not be what limits
        the clock. Bytes behind the last row are none of its elements."""
        assert self.out_of_range is not None
        lanes = Signal(self.beat_bytes, name="out_of_range_lanes")
        was_put = Signal()
        beyond = [self.out_of_range(beat_bytes[8 * lane : 8 * lane + 8]) for lane in range(self.beat_bytes)]
        m.d.sync += [lanes.eq(Cat(beyond) & expected), was_put.eq(put), self.o_range.eq(was_put & lanes.any())]

    def _beat(self, m: Module, begun: Value) -> tuple[Any, Signal, Signal]:
        """A register for the beat at hand, with what its `tkeep` means; whether it is held; to be taken."""
        beat = Signal(
            data.StructLayout(
                {
                    "data": 8 * self.beat_bytes,
                    "keep": self.beat_bytes,
                    "last": 1,
                    "gap": 1,  # before a byte that is there
                    "partial": 1,  # not every byte is there
                    "empty": 1,  # none is
                    "open": 1,  # beats of this packet follow
                }
            )
        )
        held = Signal()
        taken = Signal()
        contiguous = ~(self.i.tkeep & (self.i.tkeep + 1)[: self.beat_bytes]).any()
        masked = Signal(8 * self.beat_bytes)
        for lane in range(self.beat_bytes):
            kept = self.i.tkeep[lane] | ~contiguous | ~self.i.tlast
            byte = slice(8 * lane, 8 * lane + 8)
            m.d.comb += masked[byte].eq(Mux(kept, self.i.tdata[byte], 0))
        m.d.comb += self.i.tready.eq(beat.open & (~held | taken))
        with m.If(taken):
            m.d.sync += held.eq(0)
        with m.If(self.i.tvalid & self.i.tready):
            m.d.sync += [
                held.eq(1),
                beat.data.eq(masked),
                beat.keep.eq(self.i.tkeep),
                beat.last.eq(self.i.tlast),
                beat.gap.eq(~contiguous),
                beat.partial.eq(~self.i.tkeep.all()),
                beat.empty.eq(~self.i.tkeep.any()),
                beat.open.eq(~self.i.tlast),
            ]
        with m.If(~begun & self.i_packet.valid):
            m.d.sync += beat.open.eq(1)
        return beat, held, taken


class RowPacker(wiring.Component):
    """Packets of rows; a row with `last` ends its packet.

    Members
    -------
    i
        Rows.
    o
        Packets; lanes behind the last byte are 0.
    o_empty
        Nothing is left inside.

    Latency: 2 cycles from a row that completes a beat. Throughput: the lesser of one beat and one row per cycle; one
    cycle more per packet.
    """

    def __init__(self, shape: ShapeLike, stream_bits: int) -> None:
        self.row_bytes, self.beat_bytes = row_bytes(shape), stream_bits // 8
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout({"row": shape, "last": 1}))),
                "o": Out(AxiStream(stream_bits)),
                "o_empty": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.gearbox = gearbox = Gearbox(self.row_bytes, self.beat_bytes)
        layout = data.StructLayout({"data": 8 * self.beat_bytes, "keep": self.beat_bytes, "last": 1})
        m.submodules.output = output = StreamRegister(layout)
        beat = output.i.payload
        ending = Signal()  # the packet's last row is in the gearbox
        put = self.i.valid & self.i.ready
        take = output.i.valid & output.i.ready
        m.d.comb += [
            self.i.ready.eq(gearbox.o_credit & ~ending),
            gearbox.i_put.eq(put),
            gearbox.i_data.eq(Value.cast(self.i.payload.row)),
            output.i.valid.eq(gearbox.o_full | ending),
            beat.data.eq(gearbox.o_data),
            beat.last.eq(ending & (gearbox.o_fill <= gearbox.out_units)),
            gearbox.i_take.eq(take),
        ]
        for lane in range(self.beat_bytes):
            m.d.comb += beat.keep[lane].eq(gearbox.o_fill > lane // gearbox.unit_bytes)
        with m.If(put):
            m.d.sync += ending.eq(self.i.payload.last)
        with m.Elif(take & beat.last):
            m.d.sync += ending.eq(0)
        m.d.comb += [
            self.o.tvalid.eq(output.o.valid),
            output.o.ready.eq(self.o.tready),
            self.o.tdata.eq(output.o.payload.data),
            self.o.tkeep.eq(output.o.payload.keep),
            self.o.tlast.eq(output.o.payload.last),
            self.o_empty.eq(~ending & ~gearbox.o_fill.any() & ~output.o.valid),
        ]
        return m
