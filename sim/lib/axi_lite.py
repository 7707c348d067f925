"""An AXI4-Lite manager for Amaranth's simulator that knows the protocol and nothing of what it talks to.

Every channel moves at its own pace, so that address and data of a write come in any order, reads and writes overlap,
and responses wait.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sim.lib.streams import Flow, Pace, StreamSink, StreamSource

CYCLE_LIMIT = 10_000
ALL_BYTES = 0b1111
OKAY, SLVERR = 0, 2


@dataclass(frozen=True)
class Write:
    """A write transaction."""

    address: int
    data: int
    strobes: int = ALL_BYTES


@dataclass(frozen=True)
class Response:
    """What came back: the code, and the data of a read."""

    code: int
    data: int = 0


class LiteManager:
    """Drives a port of :class:`latte_hw.lib.axi.lite.LiteSignature`.

    `flow` says who stalls the channels at random: the manager's requests (idle), its taking of responses (stalled),
    or both. `each_cycle` is called with the simulator's context in every cycle, after all channels are driven: the
    place for a model of what lies behind the port. Fails with :class:`AssertionError` when a response changes before
    it is taken, comes without a request, or does not come.
    """

    def __init__(
        self,
        port: Any,
        flow: str = Flow.FREE,
        seed: int = 0,
        pace: float = 0.5,
        each_cycle: Callable[[Any, int], None] | None = None,
    ) -> None:
        idle, stall = Flow(flow).idles, Flow(flow).stalls
        self.port = port
        self.cycle = 0
        self.each_cycle = each_cycle
        self._requests = {
            name: StreamSource(name, Pace(name, seed, pace) if idle else None) for name in ("aw", "w", "ar")
        }
        self._responses = {name: StreamSink(name, Pace(name, seed, pace) if stall else None) for name in ("b", "r")}
        self._expected = {"b": 0, "r": 0}
        self._held: dict[str, int] = {}

    async def exchange(self, context: Any, writes: Sequence[Write] = (), reads: Sequence[int] = ()) -> Any:
        """Carry out writes and reads side by side, each in its order; the write and the read responses."""
        self._requests["aw"].push(write.address for write in writes)
        self._requests["w"].push(write.data | write.strobes << 32 for write in writes)
        self._requests["ar"].push(reads)
        self._expected = {"b": self._expected["b"] + len(writes), "r": self._expected["r"] + len(reads)}
        taken = {name: len(sink.payloads) for name, sink in self._responses.items()}
        limit = self.cycle + CYCLE_LIMIT
        while any(len(sink.payloads) < self._expected[name] for name, sink in self._responses.items()):
            assert self.cycle < limit, f"no response within {CYCLE_LIMIT} cycles"
            await self.step(context)
        written, read = (sink.payloads[taken[name] :] for name, sink in self._responses.items())
        return (
            [Response(code) for code in written],
            [Response(bits & 3, bits >> 2) for bits in read],
        )

    async def write(self, context: Any, address: int, data: int, strobes: int = ALL_BYTES) -> int:
        """One write; the response's code."""
        (response,), _ = await self.exchange(context, [Write(address, data, strobes)])
        return response.code

    async def read(self, context: Any, address: int) -> Response:
        """One read."""
        _, (response,) = await self.exchange(context, reads=[address])
        return response

    async def step(self, context: Any, cycles: int = 1) -> None:
        """Let clock cycles pass."""
        for _ in range(cycles):
            for name, source in self._requests.items():
                source.step()
                context.set(getattr(self.port, f"{name}valid"), int(source.valid))
                self._offer(context, name, source.payload)
            for name, sink in self._responses.items():
                sink.step()
                context.set(getattr(self.port, f"{name}ready"), int(sink.ready))
            if self.each_cycle:
                self.each_cycle(context, self.cycle)
            for name, source in self._requests.items():
                if source.valid and context.get(getattr(self.port, f"{name}ready")):
                    source.accept(self.cycle)
            for name, sink in self._responses.items():
                self._take(context, name, sink)
            self.cycle += 1
            await context.tick()

    def cycles(self, channel: str) -> list[int]:
        """In which cycles `aw`, `w`, `ar`, `b` or `r` moved."""
        return self._requests[channel].accepted if channel in self._requests else self._responses[channel].cycles

    def _offer(self, context: Any, name: str, payload: int) -> None:
        if name == "w":
            context.set(self.port.wdata, payload & 0xFFFF_FFFF)
            context.set(self.port.wstrb, payload >> 32)
        else:
            context.set(getattr(self.port, f"{name}addr"), payload)

    def _take(self, context: Any, name: str, sink: StreamSink) -> None:
        held = self._held.pop(name, None)
        if not context.get(getattr(self.port, f"{name}valid")):
            assert held is None, f"{name}valid fell before the response was taken, in cycle {self.cycle}"
            return
        code = context.get(getattr(self.port, f"{name}resp"))
        offer = code if name == "b" else code | context.get(self.port.rdata) << 2
        requests = [self._requests[channel].accepted for channel in (("aw", "w") if name == "b" else ("ar",))]
        due = min(sum(cycle < self.cycle for cycle in accepted) for accepted in requests)
        assert len(sink.payloads) < due, f"{name} answers in cycle {self.cycle} what was not asked"
        assert held in (None, offer), f"{name} changed its response in cycle {self.cycle}"
        if sink.ready:
            sink.take(self.cycle, offer)
        else:
            self._held[name] = offer
