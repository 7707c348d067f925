"""Drives :class:`latte_hw.system.multihead.MultiHead` in Amaranth's simulator, as register file and DMA engines
would."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from amaranth.hdl import Value
from amaranth.sim import Simulator

from latte_hw.config.top import TopConfig
from latte_hw.system.events import ERRORS
from latte_hw.system.multihead import MultiHead
from sim.blocks.block_bench import pack, unpack
from sim.lib.axi_stream import AsStreams, Beat, beat_layout, to_packets
from sim.lib.streams import Pace, StreamSink, StreamSource

INPUTS = ("s_axis_q", "s_axis_k", "s_axis_v")
OUTPUT = "m_axis_o"


class MultiHeadBench:
    """A core, the ends of its streams, and what has passed them since the last soft reset.

    `paces` gives, by the name of a port, the probability with which it moves on in a cycle.
    """

    def __init__(self, config: TopConfig, paces: dict[str, float] | None = None, seed: int = 0) -> None:
        self.config = config
        self.core: Any = AsStreams(MultiHead(config))
        self.layout = beat_layout(config.stream_bits)
        self._paces = {name: Pace(name, seed, pace) for name, pace in (paces or {}).items()}
        self.cycle = 0
        self.errors: Counter[str] = Counter()
        self.done = 0
        self.final: dict[str, Any] = {}
        """Counters that a script has noted at its end."""
        self._context: Any = None
        self._new_streams()

    def _new_streams(self) -> None:
        self.sources = {name: StreamSource(name, self._paces.get(name)) for name in INPUTS}
        self.sink = StreamSink(OUTPUT, self._paces.get(OUTPUT))
        self._held: int | None = None

    def run(self, script: Callable[["MultiHeadBench"], Awaitable[None]]) -> None:
        """Run a script of commands from reset on."""

        async def testbench(context: Any) -> None:
            self._context = context
            await script(self)

        simulator = Simulator(self.core)
        simulator.add_clock(1e-6)
        simulator.add_testbench(testbench)
        simulator.run()

    # --- commands -----------------------------------------------------------------------------------------------

    def send(self, name: str, beats: Sequence[Beat]) -> None:
        """Queue the beats of packets on an input."""
        self.sources[name].push([pack(self.layout, beat) for beat in beats])

    async def write_table(self, head: int, threshold: int, mantissa: int, shift: int) -> None:
        """Write an entry of the idle bank, once no START is being checked."""
        while self._context.get(self.core.o_checking):
            await self.step()
        entry = {"head": head, "threshold": threshold, "mantissa": mantissa, "shift": shift}
        payload = self.core.i_table.payload
        self._context.set(Value.cast(payload), pack(payload.shape(), entry))
        await self._pulse(self.core.i_table.valid)

    async def start(self, **layer: int) -> None:
        """START a layer of `heads`, `group`, `n_queries`, `n_keys`, `causal_offset`, `keep`."""
        self._context.set(Value.cast(self.core.i_layer), pack(self.core.i_layer.shape(), layer))
        await self._pulse(self.core.i_start)

    async def append(self, keep: int = 1) -> None:
        self._context.set(self.core.i_layer.keep, keep)
        await self._pulse(self.core.i_append)

    async def soft_reset(self) -> None:
        """Reset the core and, as its user must, the senders; what the output has delivered is forgotten."""
        await self._pulse(self.core.i_soft_reset)
        self._new_streams()

    async def _pulse(self, signal: Any) -> None:
        self._context.set(signal, 1)
        await self.step()
        self._context.set(signal, 0)

    # --- time ---------------------------------------------------------------------------------------------------

    async def step(self, cycles: int = 1) -> None:
        for _ in range(cycles):
            await self._cycle()

    async def until_idle(self, cycle_limit: int = 20_000) -> int:
        """Go on until the core is idle; returns the cycles that it took."""
        for cycle in range(cycle_limit):
            if not self._context.get(self.core.o_busy):
                return cycle
            await self.step()
        left = ", ".join(f"{name} has {source.waiting} beats left" for name, source in self.sources.items())
        raise AssertionError(f"busy after {cycle_limit} cycles: {left}, {len(self.sink.payloads)} beats came out")

    @property
    def busy(self) -> bool:
        return bool(self._context.get(self.core.o_busy))

    def counters(self) -> dict[str, Any]:
        shape = self.core.o_counters.shape()
        counters: dict[str, Any] = unpack(shape, self._context.get(Value.cast(self.core.o_counters)))
        return counters

    def packets(self) -> list[bytes]:
        """Packets that have come out; no beat may lie behind the last one."""
        return to_packets([unpack(self.layout, bits) for bits in self.sink.payloads], self.config.stream_bits)

    @property
    def waiting(self) -> dict[str, int]:
        """Beats that the inputs have not taken."""
        return {name: source.waiting for name, source in self.sources.items() if source.waiting}

    async def _cycle(self) -> None:
        context, core = self._context, self.core
        for name, source in self.sources.items():
            source.step()
            port = getattr(core, name)
            context.set(port.valid, int(source.valid))
            context.set(Value.cast(port.payload), source.payload)
        self.sink.step()
        output = getattr(core, OUTPUT)
        context.set(output.ready, int(self.sink.ready))

        for name, source in self.sources.items():
            if source.valid and context.get(getattr(core, name).ready):
                source.accept(self.cycle)
        offer = context.get(Value.cast(output.payload)) if context.get(output.valid) else None
        assert self._held is None or offer == self._held, f"{OUTPUT} did not hold its offer until cycle {self.cycle}"
        self._held = None if self.sink.ready else offer
        if offer is not None and self.sink.ready:
            self.sink.take(self.cycle, offer)
        raised = context.get(Value.cast(core.o_errors))
        if raised:
            self.errors.update(name for bit, name in enumerate(ERRORS) if raised >> bit & 1)
        self.done += context.get(core.o_done)
        self.cycle += 1
        await context.tick()
