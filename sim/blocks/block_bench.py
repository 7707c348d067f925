"""Runs one block of the gateware in Amaranth's simulator: streams in, streams out, stores answered on the way.

For the unit tests of the blocks; whole cores go through :mod:`sim.simulate`.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import Shape, Value
from amaranth.lib import data, wiring
from amaranth.sim import Simulator

from latte_hw.config import TOTAL_BITS
from latte_hw.params import HeadParams
from sim.lib.streams import Flow, Monitor, Pace, StreamSink, StreamSource

SETTLE_CYCLES = 64
"""Cycles after the last expected item, in which nothing more may come."""

Store = Callable[[int, int], int]
"""What a read port of the store answers: (buffer, address) to the data's bits."""


@dataclass
class BlockRun:
    """What a block did, by the name of its port.

    Inputs have `cycles` (in which an item was taken), outputs also have their items as nested dictionaries and lists,
    and watched ports have their value in every cycle.
    """

    outputs: dict[str, list[Any]] = field(default_factory=dict)
    cycles: dict[str, list[int]] = field(default_factory=dict)
    watched: dict[str, list[int]] = field(default_factory=dict)


def pack(shape: Any, value: Any) -> int:
    """Bits of a payload given as nested dictionaries and sequences; every field once, every number in range."""
    if isinstance(shape, data.StructLayout):
        if value.keys() != shape.members.keys():
            raise ValueError(f"fields {sorted(value)} given, not {sorted(shape.members)}")
        return sum(pack(part.shape, value[name]) << part.offset for name, part in shape)
    if isinstance(shape, data.ArrayLayout):
        if len(value) != shape.length:
            raise ValueError(f"{len(value)} elements given, not {shape.length}")
        return sum(pack(part.shape, value[index]) << part.offset for index, part in shape)
    plain, number = Shape.cast(shape), int(value)
    bits = number & ((1 << plain.width) - 1)
    if unpack(plain, bits) != number:
        raise ValueError(f"{number} does not fit {plain}")
    return bits


def unpack(shape: Any, bits: int) -> Any:
    """The inverse of :func:`pack`: dictionaries, lists and integers."""
    if isinstance(shape, data.StructLayout):
        return {name: unpack(part.shape, bits >> part.offset) for name, part in shape}
    if isinstance(shape, data.ArrayLayout):
        return [unpack(part.shape, bits >> part.offset) for _, part in shape]
    plain = Shape.cast(shape)
    number = bits & ((1 << plain.width) - 1)
    return number - (1 << plain.width) if plain.signed and plain.width and number >> (plain.width - 1) else number


def run_block(
    block: wiring.Component,
    inputs: Mapping[str, Sequence[Any]],
    expected: Mapping[str, int],
    *,
    flow: str = Flow.FREE,
    seed: int = 0,
    pace: float = 0.5,
    stores: Mapping[str, Store] | None = None,
    watch: Sequence[str] = (),
    cycle_limit: int = 20_000,
) -> BlockRun:
    """Feed every input stream its payloads and take the `expected` number of items from every output stream.

    `pace` is the probability with which a stream that `flow` stalls moves on in a cycle. `stores` answers the
    block's read ports after `store_latency` cycles. `watch` names plain outputs whose value is noted in every cycle.
    Fails with :class:`AssertionError` when an input is left over, an item too many comes, an offered item changes
    before it is taken, or the cycle limit is passed.
    """
    bench = _Bench(block, inputs, expected, Flow(flow), seed, pace, stores or {}, watch)

    async def testbench(context: Any) -> None:
        settled = 0
        for cycle in range(cycle_limit):
            bench.drive(context)
            bench.sample(context, cycle)
            settled += bench.complete
            if settled > SETTLE_CYCLES:
                return
            await context.tick()
        raise AssertionError(f"cycle limit of {cycle_limit} passed: {bench.situation()}")

    simulator = Simulator(block)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return bench.result()


class _Answers:
    """What a read port of the store has read and not yet answered; the groups of a value are answered one by one."""

    def __init__(self, params: HeadParams, staggered: bool) -> None:
        self.step = params.division.stagger if staggered else 0
        self.groups = params.division.cycles if staggered else 1
        self.mask = (1 << params.division.lanes * TOTAL_BITS) - 1 if staggered else -1
        self.latency = params.latency.store
        self.reads = deque([0] * (self.latency + (self.groups - 1) * self.step))  # latest first
        self.valid = deque([0] * self.latency)

    def now(self) -> int:
        """What is on the port in the present cycle."""
        answer = 0
        for group in range(self.groups):
            age = len(self.reads) - 1 - (self.groups - 1 - group) * self.step
            answer |= self.reads[age] & (self.mask << group * self.mask.bit_length() if self.step else -1)
        return answer

    def read(self, data: int | None) -> None:
        """A cycle with the data of a request, or without one."""
        self.reads.appendleft(0 if data is None else data)
        self.reads.pop()
        self.valid.appendleft(int(data is not None))
        self.valid.pop()


class _Bench:
    """The ends of a block's streams, and what has passed them."""

    def __init__(
        self,
        block: wiring.Component,
        inputs: Mapping[str, Sequence[Any]],
        expected: Mapping[str, int],
        flow: Flow,
        seed: int,
        pace: float,
        stores: Mapping[str, Store],
        watch: Sequence[str],
    ) -> None:
        self.expected = expected
        self.stores = stores
        self.ports = {name: getattr(block, name) for name in (*inputs, *expected, *stores)}
        self.sources = {name: StreamSource(name, Pace(name, seed, pace) if flow.idles else None) for name in inputs}
        self.sinks = {name: StreamSink(name, Pace(name, seed, pace) if flow.stalls else None) for name in expected}
        for name, payloads in inputs.items():
            shape = self.ports[name].payload.shape()
            self.sources[name].push([pack(shape, payload) for payload in payloads])
        self.answers = {
            name: _Answers(block.params, staggered=name.startswith("value_port"))  # type: ignore[attr-defined]
            for name in stores
        }
        self.held: dict[str, int] = {}
        """What an output offered in the cycle before, and was not taken."""
        self.watched: dict[str, tuple[Value, list[int]]] = {
            name: (Value.cast(getattr(block, name)), []) for name in watch
        }

    def drive(self, context: Any) -> None:
        """At the start of a cycle."""
        for name, source in self.sources.items():
            source.step()
            context.set(self.ports[name].valid, int(source.valid))
            context.set(Value.cast(self.ports[name].payload), source.payload)
        for name, sink in self.sinks.items():
            sink.step()
            if not self._unhindered(name):
                context.set(self.ports[name].ready, int(sink.ready))
        for name, answers in self.answers.items():
            port = self.ports[name]
            context.set(port.request.ready, 1)
            context.set(port.response.valid, answers.valid[-1])
            context.set(Value.cast(port.response.payload), answers.now())

    def sample(self, context: Any, cycle: int) -> None:
        """At the end of a cycle."""
        for name, source in self.sources.items():
            if source.valid and (self._unhindered(name) or context.get(self.ports[name].ready)):
                source.accept(cycle)
        for name, sink in self.sinks.items():
            self._sample_output(context, name, sink, cycle)
        for name, store in self.stores.items():
            request = self.ports[name].request
            sent = request.payload
            asked = context.get(request.valid)
            self.answers[name].read(store(context.get(sent.buffer), context.get(sent.address)) if asked else None)
        for value, values in self.watched.values():
            values.append(context.get(value))

    def _sample_output(self, context: Any, name: str, sink: StreamSink, cycle: int) -> None:
        port = self.ports[name]
        offer = context.get(Value.cast(port.payload)) if context.get(port.valid) else None
        held = self.held.pop(name, None)
        assert held is None or offer == held, f"{name} did not hold its offer until cycle {cycle}"
        if offer is None:
            return
        if self._unhindered(name) or sink.ready:
            sink.take(cycle, offer)
        else:
            self.held[name] = offer

    def _unhindered(self, name: str) -> bool:
        """Whether a port has no `ready`."""
        return "ready" not in self.ports[name].signature.members

    @property
    def complete(self) -> bool:
        """Whether everything has been taken and delivered."""
        delivered = all(len(sink.payloads) >= self.expected[name] for name, sink in self.sinks.items())
        return delivered and not any(source.waiting for source in self.sources.values())

    def situation(self) -> str:
        left = [f"{name} has {source.waiting} left" for name, source in self.sources.items() if source.waiting]
        return "; ".join([*left, *(self._count(name, sink) for name, sink in self.sinks.items())])

    def result(self) -> BlockRun:
        for name, sink in self.sinks.items():
            assert len(sink.payloads) == self.expected[name], self._count(name, sink)
        return BlockRun(
            outputs={
                name: [unpack(self.ports[name].payload.shape(), bits) for bits in sink.payloads]
                for name, sink in self.sinks.items()
            },
            cycles={name: source.accepted for name, source in self.sources.items()}
            | {name: sink.cycles for name, sink in self.sinks.items()},
            watched={name: values for name, (_, values) in self.watched.items()},
        )

    def _count(self, name: str, sink: Monitor) -> str:
        return f"{name} delivered {len(sink.payloads)} of {self.expected[name]}"
