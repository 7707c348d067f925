"""Ready/valid glue: the only place where it is written.

Transfers follow the rules of Amaranth's data streams: a payload moves in every cycle in which ``valid`` and ``ready``
are both high; ``valid`` never waits for ``ready``; once raised, ``valid`` and ``payload`` hold until the transfer.

The datapath never stalls in the middle of a pipeline. A block takes an item into a fixed-latency pipeline only after
it has reserved the place where the result will wait (:class:`ReservedFifo`), so registers need no enable and `ready`
never crosses more than one block.
"""

from collections.abc import Iterable
from typing import Any

from amaranth.hdl import Module, Shape, ShapeLike, Signal, Value
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out


class Valid(wiring.Signature):
    """A payload marked by `valid`, without back-pressure: the receiver must take it."""

    def __init__(self, payload_shape: ShapeLike) -> None:
        super().__init__({"valid": Out(1), "payload": Out(payload_shape)})


class Fifo(wiring.Component):
    """A queue of `depth` items (at least 2) in RAM.

    Latency: 2 cycles from `i` to `o` when empty. Throughput: one item per cycle for a depth of 3 or more.
    """

    queue_class: Any = fifo.SyncFIFOBuffered

    def __init__(self, shape: ShapeLike, depth: int) -> None:
        if depth < 2:
            raise ValueError(f"{type(self).__name__} depth must be at least 2, not {depth}")
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})
        self.shape = shape
        self.depth = depth

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.queue = queue = self.queue_class(width=Shape.cast(self.shape).width, depth=self.depth)
        m.d.comb += [
            queue.w_data.eq(Value.cast(self.i.payload)),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            Value.cast(self.o.payload).eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
        ]
        return m


class ShortFifo(Fifo):
    """A queue of few items in LUT RAM, whose output is the RAM's own.

    Latency: 1 cycle from `i` to `o` when empty. Throughput: one item per cycle.
    """

    queue_class = fifo.SyncFIFO


class ReservedFifo(wiring.Component):
    """The landing place of a pipeline that cannot stall.

    An item may be sent on its way in a cycle with `o_room` high, by raising `i_reserve` in that cycle; its result is
    then written to `i`, some cycles later, and always finds a place. `i_cancel` gives a reservation back that brought
    no result. `depth` counts items on their way and items waiting; full throughput needs the pipeline's latency
    plus 4.
    """

    def __init__(self, shape: ShapeLike, depth: int) -> None:
        super().__init__(
            {
                "o_room": Out(1),
                "i_reserve": In(1),
                "i_cancel": In(1),
                "i": In(Valid(shape)),
                "o": Out(stream.Signature(shape)),
            }
        )
        self.shape = shape
        self.depth = depth

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.queue = queue = Fifo(self.shape, self.depth)
        wiring.connect(m, queue.o, wiring.flipped(self.o))
        m.d.comb += [queue.i.payload.eq(self.i.payload), queue.i.valid.eq(self.i.valid)]

        # The queue loses one place while an item waits in its output register, hence one reservation less.
        room = Signal(range(self.depth + 1), init=self.depth - 1)
        taken = Signal()
        m.d.comb += [self.o_room.eq(room != 0), taken.eq(self.o.valid & self.o.ready)]
        m.d.sync += room.eq(room - self.i_reserve + taken + self.i_cancel)
        return m


class StreamRegister(wiring.Component):
    """One register on a stream. Latency: 1 cycle. Throughput: one item per cycle."""

    def __init__(self, shape: ShapeLike) -> None:
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        return m


def fork_ready(m: Module, valid: Value, targets: Iterable[Any]) -> Value:
    """Offer one transfer to several streams at once: it happens in all of them, or in none.

    Drives `valid` of every target and returns the condition under which the transfer happens. The targets must not
    make `ready` wait for `valid` (a :class:`Fifo` does not).
    """
    targets = list(targets)
    happens = Signal(name="fork_transfer")
    all_ready = Value.cast(1)
    for target in targets:
        all_ready = all_ready & target.ready
    m.d.comb += happens.eq(valid & all_ready)
    for target in targets:
        m.d.comb += target.valid.eq(happens)
    return happens


def delayed(m: Module, value: Any, cycles: int, name: str) -> Any:
    """`value` as it was `cycles` clock cycles ago: a chain of registers that starts at zero."""
    shape = value.shape()
    for cycle in range(cycles):
        register = Signal(shape, name=f"{name}_{cycle + 1}")
        m.d.sync += register.eq(value)
        value = register
    return value
