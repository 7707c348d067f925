"""Register slices on streams: what a hop of :class:`latte_hw.params.pipeline.Pipeline` is made of."""

from typing import Any

from amaranth.hdl import Module, Mux, ShapeLike, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.lib.streams import StreamRegister


class SkidBuffer(wiring.Component):
    """A register slice on a stream whose `ready` is a register, too, so that nothing passes it within a cycle.

    What comes while the output waits goes into a second register.

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
        spilled = Signal()
        spill = Signal.like(self.i.payload, name="spill", reset_less=True)
        m.d.comb += self.i.ready.eq(~spilled)
        with m.If(~spilled):
            m.d.sync += spill.eq(self.i.payload)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                self.o.valid.eq(spilled | self.i.valid),
                self.o.payload.eq(Mux(spilled, Value.cast(spill), Value.cast(self.i.payload))),
                spilled.eq(0),
            ]
        with m.Else():
            m.d.sync += spilled.eq(spilled | self.i.valid)
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
