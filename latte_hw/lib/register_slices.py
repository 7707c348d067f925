"""Register slices on streams: what a hop of :class:`latte_hw.params.pipeline.Pipeline` is made of."""

from typing import Any

from amaranth.hdl import Module, Mux, ShapeLike, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.lib.streams import StreamRegister


class SkidBuffer(wiring.Component):
    """A register slice on a stream whose `ready` is a register, too, so that nothing passes it within a cycle.

    Two registers take turns. The sink's `ready` reaches two flags and a pointer, never a payload: its fan-out does not
    grow with the width.

    Members
    -------
    i, o
        The stream before and behind the registers.

    Latency: 1 cycle. Throughput: one item per cycle.
    """

    def __init__(self, shape: ShapeLike) -> None:
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        full = Signal()
        valid = Signal()
        write = Signal()  # pointers
        read = Signal()
        words = [Signal.like(self.i.payload, name=f"word_{number}", reset_less=True) for number in range(2)]
        written, taken = self.i.valid & ~full, valid & self.o.ready
        m.d.comb += [
            self.i.ready.eq(~full),
            self.o.valid.eq(valid),
            self.o.payload.eq(Mux(read, Value.cast(words[1]), Value.cast(words[0]))),
        ]
        for number, word in enumerate(words):
            with m.If(~full & (write == number)):
                m.d.sync += word.eq(self.i.payload)
        m.d.sync += [write.eq(write ^ written), read.eq(read ^ taken)]
        with m.If(written & ~taken):
            m.d.sync += [full.eq(valid), valid.eq(1)]
        with m.Elif(taken & ~written):
            m.d.sync += [full.eq(0), valid.eq(full)]
        return m


def slices(m: Module, source: Any, count: int, name: str, kind: Any = StreamRegister) -> Any:
    """A stream behind `count` register slices, `name` and on; the stream itself if there are none."""
    for number in range(count):
        register = kind(source.payload.shape())
        m.submodules[f"{name}_{number}" if number else name] = register
        wiring.connect(m, source, register.i)
        source = register.o
    return source


def slices_before(m: Module, sink: Any, count: int, name: str) -> Any:
    """What to drive to reach a stream through `count` register slices; the stream itself if there are none."""
    for number in range(count):
        register = StreamRegister(sink.payload.shape())
        m.submodules[f"{name}_{number}" if number else name] = register
        wiring.connect(m, register.o, sink)
        sink = register.i
    return sink
