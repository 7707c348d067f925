"""The driver's transport in a cocotb simulation: cocotbext-axi, an independent bus model, on the emitted ports.

Its methods are called by synchronous code in a thread of its own (:func:`cocotb.task.bridge`).
"""

from collections.abc import Iterator
from random import Random
from typing import Any

from cocotb.task import resume
from cocotb.triggers import ClockCycles, First, RisingEdge, SimTimeoutError, with_timeout
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

from latte_hw.driver.errors import BusError

CLOCK_STEPS = 2
"""Simulator's steps of a clock cycle."""

CYCLE_SECONDS = 10e-9
"""What a clock cycle counts as."""

WAIT_CYCLES = 64
LONGEST_WAIT_CYCLES = 10_000
BUS_CYCLES = 10_000
"""Cycles within which the register bus must answer."""

INPUTS = ("q", "k", "v")
PACES = ("none", "1 of 4", "0.1", "0.5", "0.9")
"""How a port is stalled: never, in 1 of 4 cycles, or at random with that probability in each cycle."""


def pauses(pace: str, name: str, seed: int) -> Iterator[bool] | None:
    """Whether a port pauses, cycle by cycle."""
    if pace == "none":
        return None
    if pace == "1 of 4":
        return (number % 4 == 3 for number in _naturals())
    draw, probability = Random(f"{seed}/{name}").random, float(pace)
    return (draw() < probability for _ in _naturals())


def _naturals() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def reset_of(dut: Any, prefix: str = "") -> tuple[Any, bool]:
    """The reset port of a core, and whether it is active high."""
    active_high = hasattr(dut, f"{prefix}rst")
    return getattr(dut, f"{prefix}rst" if active_high else f"{prefix}aresetn"), active_high


class CocotbTransport:
    """Registers and streams of a multi-head core; see :class:`latte_hw.driver.transport.InterruptTransport`.

    `idle` is the pace of what is sent, requests to the registers too; `stall` that of what is taken. The core's ports
    begin with `prefix`, all but the clock.
    """

    by_irq = False
    """Whether a wait ends when `irq` is high, or after `LONGEST_WAIT_CYCLES`; otherwise after `WAIT_CYCLES`."""

    def __init__(self, dut: Any, idle: str = "none", stall: str = "none", seed: int = 0, prefix: str = "") -> None:
        self._clock, self._irq = dut.clk, getattr(dut, f"{prefix}irq")
        self._reset, self._active_high = reset_of(dut, prefix)
        ends = (dut.clk, self._reset, self._active_high)
        self.bus = AxiLiteMaster(AxiLiteBus.from_prefix(dut, f"{prefix}s_axil"), *ends)
        ports = {name: AxiStreamBus.from_prefix(dut, f"{prefix}s_axis_{name}") for name in INPUTS}
        self.sources = {name: AxiStreamSource(port, *ends) for name, port in ports.items()}
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, f"{prefix}m_axis_o"), *ends)
        write, read = self.bus.write_if, self.bus.read_if
        channels = {"aw": write.aw_channel, "w": write.w_channel, "ar": read.ar_channel} | self.sources
        for name, port in channels.items():
            port.set_pause_generator(pauses(idle, name, seed))
        for name, port in {"b": write.b_channel, "r": read.r_channel, "o": self.sink}.items():
            port.set_pause_generator(pauses(stall, name, seed))
        self.received = 0
        """Bytes that have come out."""
        self.received_beats = 0
        """Beats of the packets that have come out whole."""
        self.reads = 0
        """Registers that have been read."""
        self.irqs = 0
        """Waits that `irq` has ended."""

    # --- of a transport -------------------------------------------------------------------------------------------

    def read32(self, address: int) -> int:
        self.reads += 1
        response: Any = resume(self._bus_access)(self.bus.read(address, 4), address)
        return int.from_bytes(response.data, "little")

    def write32(self, address: int, word: int) -> None:
        resume(self._bus_access)(self.bus.write(address, word.to_bytes(4, "little")), address)

    def send(self, stream: str, packet: bytes) -> None:
        self.send_frame(stream, AxiStreamFrame(packet))

    def receive(self, size: int) -> bytes | None:  # noqa: ARG002
        packet: bytes | None = resume(self._receive)()
        self.received += len(packet or b"")
        return packet

    def unsent(self) -> dict[str, int]:
        return {name: source.count() + source.active for name, source in self.sources.items()}

    def expect(self, packets: int) -> bool:  # noqa: ARG002
        return self.by_irq

    def wait(self) -> None:
        if self.by_irq:
            self.wait_irq(LONGEST_WAIT_CYCLES)
        else:
            self.wait_cycles(WAIT_CYCLES)

    def time(self) -> float:
        return self.cycle * CYCLE_SECONDS

    def discard(self) -> None:
        resume(self._discard)()

    # --- of the bench ---------------------------------------------------------------------------------------------

    @property
    def cycle(self) -> int:
        return int(get_sim_time("step")) // CLOCK_STEPS

    def wait_cycles(self, cycles: int) -> None:
        resume(self._wait)(cycles)

    def wait_irq(self, cycles: int) -> bool:
        """Wait until `irq` is high, so many cycles at most; whether it is."""
        came: bool = resume(self._wait_irq)(cycles)
        self.irqs += came
        return came

    def send_frame(self, stream: str, frame: AxiStreamFrame) -> None:
        """Queue a packet with any `tkeep`."""
        resume(self._send)(stream, frame)

    def hard_reset(self, cycles: int) -> None:
        """Hold the reset port active; the bus model's ends are reset with the core, packets that wait are dropped."""
        resume(self._hard_reset)(cycles)

    def assert_nothing_left(self) -> None:
        """No beat has come too many, none is still to be taken."""
        self.wait_cycles(WAIT_CYCLES)
        assert self.unsent() == dict.fromkeys(INPUTS, 0), f"not taken: {self.unsent()}"
        assert self.sink.empty(), f"{self.sink.count()} packets came too many"
        assert self.sink.idle(), "the output has begun another packet"

    async def _bus_access(self, access: Any, address: int) -> Any:
        try:
            response = await with_timeout(access, BUS_CYCLES * CLOCK_STEPS, "step")
        except SimTimeoutError:
            raise BusError(f"register {address:#x} has not answered within {BUS_CYCLES} cycles") from None
        if int(response.resp):
            raise BusError(f"register {address:#x} answers {response.resp!r}")
        return response

    async def _receive(self) -> bytes | None:
        if self.sink.empty():
            return None
        frame = self.sink.recv_nowait(compact=False)
        kept = sum(frame.tkeep)
        lanes = self.sink.byte_lanes
        assert frame.tkeep == [1] * kept + [0] * (len(frame.tkeep) - kept), "tkeep of the output has a hole"
        assert len(frame.tkeep) - kept < lanes, "a beat of the output keeps no byte"
        self.received_beats += len(frame.tkeep) // lanes
        return bytes(frame.tdata[:kept])

    async def _send(self, stream: str, frame: AxiStreamFrame) -> None:
        self.sources[stream].send_nowait(frame)

    async def _wait(self, cycles: int) -> None:
        await ClockCycles(self._clock, cycles)

    async def _wait_irq(self, cycles: int) -> bool:
        await ClockCycles(self._clock, 1)  # past what this cycle has begun with
        if not self._irq.value:
            await First(RisingEdge(self._irq), ClockCycles(self._clock, cycles))
        return bool(self._irq.value)

    async def _hard_reset(self, cycles: int) -> None:
        self._reset.value = int(self._active_high)
        await ClockCycles(self._clock, cycles)
        for port in (*self.sources.values(), self.sink):
            port.clear()
        self._reset.value = int(not self._active_high)
        await ClockCycles(self._clock, 1)

    async def _discard(self) -> None:
        for port in (*self.sources.values(), self.sink):
            port.assert_reset(True)
            port.clear()
        await ClockCycles(self._clock, 2)
        for port in (*self.sources.values(), self.sink):
            port.assert_reset(False)
