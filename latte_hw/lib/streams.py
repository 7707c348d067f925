"""Ready/valid glue, written here and nowhere else.

Transfers follow the rules of Amaranth's data streams: a payload moves in every cycle in which ``valid`` and ``ready``
are both high; ``valid`` never waits for ``ready``; once raised, ``valid`` and ``payload`` hold until the transfer.

The datapath never stalls in the middle of a pipeline. A block sends an item into a fixed-latency pipeline only with a
credit of the queue behind it (:class:`CreditFifo`), so registers need no enable and `ready` never crosses more than one
block.
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Module, Mux, Shape, ShapeLike, Signal, Value
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.params import BLOCK_RAM_LANDING_DEPTH, FAN_OUT_COPIES, fifo_words, in_block_ram

NEVER_COLLIDES: dict[str, Any] = {"no_rw_check": 1}
"""Attribute of a RAM that is never read where it is written: Yosys then adds no logic for that case."""


class Valid(wiring.Signature):
    """A payload marked by `valid`, without back-pressure: the receiver must take it."""

    def __init__(self, payload_shape: ShapeLike) -> None:
        super().__init__({"valid": Out(1), "payload": Out(payload_shape)})


class StreamRegister(wiring.Component):
    """One register on a stream.

    Members
    -------
    i, o
        The stream before and behind the register.

    Latency: 1 cycle. Throughput: one item per cycle.
    """

    def __init__(self, shape: ShapeLike) -> None:
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        return m


class Fifo(wiring.Component):
    """A queue of `depth` items (at least 2) in RAM and its output register.

    Beyond `LUT_RAM_DEPTH` the RAM is block RAM, which is slow to answer: what is read from it goes through a register
    into a short queue with credits, and the queue holds three items more than `depth`.

    Whether there is an item, and whether there is space, are registers of their own, set from the count before the
    transfer, so that no transfer waits for a comparison. With `credited`, the sender counts credits: `i.ready` is
    always high.

    Members
    -------
    i
        Items.
    o
        The same, oldest first.

    Latency: `fifo_latency(depth)` cycles from `i` to `o` when empty. Throughput: one item per cycle for a depth of 3
    or more.
    """

    def __init__(self, shape: ShapeLike, depth: int, *, credited: bool = False) -> None:
        if depth < 2:
            raise ValueError(f"Fifo depth must be at least 2, not {depth}")
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})
        self.shape = shape
        self.depth = depth
        self.credited = credited

    @property
    def words(self) -> int:
        """Items that the RAM holds; the others lie in registers."""
        return fifo_words(self.depth)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        words = self.words
        width = Shape.cast(self.shape).width
        m.submodules.words = ram = memory.Memory(shape=width, depth=words, init=[], attrs=NEVER_COLLIDES)
        write_port = ram.write_port()
        read_port = ram.read_port()
        stored = Signal()
        space = Signal(init=1)
        written = Signal()
        read = Signal()
        count = _Count(m, words, init=0, name="count", up=[written], down=[read])
        m.d.comb += [
            self.i.ready.eq(1 if self.credited else space),
            written.eq(self.i.valid & self.i.ready),
            # With space, the word of the next item may be written at any time: its wide net need not wait for `valid`.
            write_port.en.eq(written if self.credited else space),
            write_port.data.eq(Value.cast(self.i.payload)),
        ]
        (self._land if in_block_ram(self.depth) else self._register)(m, read_port, stored, read)
        m.d.sync += [
            stored.eq(written | Mux(read, ~count.equals(1), stored)),
            space.eq(read | Mux(written, ~count.equals(words - 1), space)),
        ]
        for port, moves in ((write_port, written), (read_port, read)):
            pointer = Signal(range(words))
            m.d.comb += port.addr.eq(pointer)
            with m.If(moves):
                m.d.sync += pointer.eq(Mux(pointer == words - 1, 0, pointer + 1))
        return m

    def _register(self, m: Module, read_port: Any, stored: Signal, read: Signal) -> None:
        """The RAM's output register is the queue's."""
        load = Signal()
        output_free = Signal(init=1)
        m.d.comb += [
            load.eq(~self.o.valid | self.o.ready),
            read_port.en.eq(load),  # means nothing if nothing is stored: the wide register need not wait for that
            read.eq(stored & (output_free | self.o.ready)),  # not from `load`, which is drawn to the wide register
            Value.cast(self.o.payload).eq(read_port.data),
        ]
        with m.If(load):
            m.d.sync += [self.o.valid.eq(stored), output_free.eq(~stored)]

    def _land(self, m: Module, read_port: Any, stored: Signal, read: Signal) -> None:
        """What is read from block RAM lands in a short queue two cycles later."""
        m.submodules.output = output = CreditFifo(self.shape, BLOCK_RAM_LANDING_DEPTH)
        wiring.connect(m, output.o, wiring.flipped(self.o))
        m.d.comb += [
            read.eq(stored & output.o_credit),
            read_port.en.eq(1),
            output.i_take.eq(read),
            output.i.valid.eq(delayed(m, read, 2, "read")),
            Value.cast(output.i.payload).eq(delayed_data(m, read_port.data, 1, "read_data")),
        ]


class CreditFifo(wiring.Component):
    """The queue behind a pipeline that cannot stall: a sender needs a credit for every item.

    A credit stands for a word of the queue's RAM. It is taken when an item enters the pipeline, and returns when the
    result leaves the RAM, or by `i_return` if there is none. So no result is ever lost, and the pipeline needs no
    back-pressure.

    Members
    -------
    o_credit
        There is a credit: an item may enter the pipeline in this cycle.
    i_take
        Takes a credit, in a cycle with `o_credit`.
    i_return
        Returns the credit of an item without a result.
    i
        Results, some cycles after their credits were taken.
    o
        The same, oldest first.

    `depth` counts items in the pipeline and in the queue; full throughput needs the pipeline's latency plus 4.
    """

    def __init__(self, shape: ShapeLike, depth: int) -> None:
        super().__init__(
            {
                "o_credit": Out(1),
                "i_take": In(1),
                "i_return": In(1),
                "i": In(Valid(shape)),
                "o": Out(stream.Signature(shape)),
            }
        )
        self.shape = shape
        self.depth = depth

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.queue = queue = Fifo(self.shape, self.depth, credited=True)
        wiring.connect(m, queue.o, wiring.flipped(self.o))
        m.d.comb += [queue.i.payload.eq(self.i.payload), queue.i.valid.eq(self.i.valid)]

        # Credits are for the RAM alone: the queue's output register may be empty.
        any_left = Signal(init=1)
        taken = Signal()
        left = _Count(m, queue.words, init=queue.words, name="credits", up=[taken, self.i_return], down=[self.i_take])
        m.d.comb += [
            self.o_credit.eq(any_left),
            taken.eq(self.o.valid & self.o.ready),
        ]
        m.d.sync += any_left.eq(taken | self.i_return | Mux(self.i_take, ~left.equals(1), any_left))
        return m


class _Count:
    """How many items there are, 0 to `greatest`, kept one cycle late.

    What changes it often comes late in its cycle: so only registers wait for that, and the sum is made in the cycle
    after. Every event in `up` adds one, every one in `down` takes one away.
    """

    def __init__(
        self, m: Module, greatest: int, *, init: int, name: str, up: Iterable[Value], down: Iterable[Value]
    ) -> None:
        self.greatest = greatest
        self.before = Signal(range(greatest + 1), init=init, name=name)
        self.came = [delayed(m, event, 1, f"{name}_up_{number}") for number, event in enumerate(up)]
        self.went = [delayed(m, event, 1, f"{name}_down_{number}") for number, event in enumerate(down)]
        m.d.sync += self.before.eq(self.before + sum(self.came) - sum(self.went))

    def equals(self, number: int) -> Value:
        """Whether there are so many in the present cycle; without the sum, whose carry chain would take time."""
        change = sum(self.came) - sum(self.went)
        changes = range(-len(self.went), len(self.came) + 1)
        cases = [
            equals(change, one) & equals(self.before, number - one)
            for one in changes
            if 0 <= number - one <= self.greatest
        ]
        return reduce(or_, cases)


def equals(value: Any, number: int) -> Value:
    """`value == number`; without a comparison with 0, whose Verilog lint takes amiss."""
    return value == number if number else ~value.any()


def fork_ready(m: Module, valid: Value, targets: Iterable[Any], *, late: bool = False) -> Value:
    """Offer one transfer to several streams at once: it happens in all of them, or in none.

    Drives `valid` of every target and returns the condition under which the transfer happens. The targets must not
    make `ready` wait for `valid` (a :class:`Fifo` does not).

    With `late`, whether all are ready is known a cycle late, so that nothing goes from one target straight to another
    over a long route: there is no transfer in the cycle after one, and a target's `ready`, once high, must stay so
    until then.
    """
    targets = list(targets)
    happens = Signal(name="fork_transfer")
    all_ready = Value.cast(1)
    for target in targets:
        all_ready = all_ready & target.ready
    if late:
        were_ready = Signal(name="fork_were_ready")
        m.d.sync += were_ready.eq(all_ready & ~happens)
        all_ready = were_ready
    m.d.comb += happens.eq(valid & all_ready)
    for target in targets:
        m.d.comb += target.valid.eq(happens)
    return happens


def delayed(m: Module, value: Any, cycles: int, name: str, *, reset_less: bool = False) -> Any:
    """`value` as it was `cycles` clock cycles ago: a chain of registers that starts at zero.

    Only what says that something is there needs the reset; data that it vouches for do without (`delayed_data`).
    """
    shape = value.shape()
    for cycle in range(cycles):
        register = Signal(shape, name=f"{name}_{cycle + 1}", reset_less=reset_less)
        m.d.sync += register.eq(value)
        value = register
    return value


def fan_out(m: Module, value: Value, name: str, slices: int = 1) -> list[Any]:
    """`value` as it was `slices` cycles ago, `FAN_OUT_COPIES` times, for nets that go to hundreds of sinks: the last
    slice is a register for each copy. Without a slice, all copies are the value itself.

    Synthesis would merge equal registers, so they differ in their initial value, and in whether reset restores it: what
    they hold means nothing in the first cycle, and for as long as reset is active.
    """
    if not slices:
        return [value] * FAN_OUT_COPIES
    value = delayed_data(m, value, slices - 1, f"{name}_sent")
    width = len(value)
    copies = []
    for copy in range(FAN_OUT_COPIES):
        init = (2**width - 1) * (copy % 2)
        copies.append(Signal(width, name=f"{name}_{copy}", init=init, reset_less=copy >= FAN_OUT_COPIES // 2))
        m.d.sync += copies[-1].eq(value)
    return copies


def divided(copies: Sequence[Any], sink: int, sinks: int) -> Any:
    """Of fan-out copies, the one of a sink: as many sinks for each, those of neighbours together."""
    return copies[sink * len(copies) // sinks]


def delayed_data(m: Module, value: Any, cycles: int, name: str) -> Any:
    """`value` as it was `cycles` clock cycles ago, not reset: it means nothing until a delayed `valid` says so."""
    return delayed(m, value, cycles, name, reset_less=True)
