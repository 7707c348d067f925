"""The driver's transport on hardware: registers in mapped memory, and AXI DMA engines in simple mode for the streams.

Each input stream needs an MM2S channel and the output an S2MM channel of an AXI DMA (AMD's PG021: direct register mode,
no scatter-gather), and each channel a buffer that the engine can reach, for a packet at a time: K and V packets have
n_keys · head_dim bytes, Q packets n_queries · head_dim, output packets that times the bytes of an element; with
`packets=layer` times the heads. Buffers are at least so large, and so is what fits an engine's length register.

On Linux, as root or with the rights to the device files::

    registers = MappedWindow("/dev/uio0", 0, 0x2000)                       # or /dev/mem at 0x4000_0000
    engine = MappedWindow("/dev/mem", 0x4040_0000, 0x1000)
    transport = MemoryTransport(
        registers,
        inputs={"q": MM2S(engine, dma_buffer("udmabuf0", 1 << 20)), "k": ..., "v": ...},
        output=S2MM(engine, dma_buffer("udmabuf1", 1 << 20)),
        irq=UioInterrupt("/dev/uio0"),                                     # without: looked at every 50 µs
    )
    latte = Latte.of_description(transport, "latte_top.json")

Under PYNQ a window is `pynq.MMIO` (its `read` and `write`) and a buffer `pynq.allocate`: both fit in a few lines.
"""

import select
import time
from collections.abc import Mapping, Sequence

from latte_hw.driver.dma import MM2S, S2MM
from latte_hw.driver.mapped import (
    Buffer,
    Interrupt,
    MappedBuffer,
    MappedWindow,
    UioInterrupt,
    Window,
    dma_buffer,
)

__all__ = [
    "MM2S",
    "S2MM",
    "Buffer",
    "Interrupt",
    "MappedBuffer",
    "MappedWindow",
    "MemoryTransport",
    "UioInterrupt",
    "Window",
    "dma_buffer",
]


class MemoryTransport:
    """See the module, and :class:`latte_hw.driver.transport.InterruptTransport`. Resets the DMA engines.

    `irq` is the core's interrupt, a channel's `interrupt` its engine's. A wait ends when one of them comes. What has
    none is looked at every `poll_seconds`, as long as something of it is to be done: an input with packets behind the
    one that moves, an output with more than one packet to come, the end of a layer. So with one packet per layer and
    stream, `irq` alone is enough. No wait is longer than `longest_wait` seconds.
    """

    def __init__(
        self,
        registers: Window,
        inputs: Mapping[str, MM2S],
        output: S2MM,
        poll_seconds: float = 50e-6,
        irq: Interrupt | None = None,
        longest_wait: float = 0.1,
    ) -> None:
        self._registers, self._inputs, self._output = registers, dict(inputs), output
        self._poll_seconds, self._longest_wait = poll_seconds, longest_wait
        self._irq = irq
        self._irq_came = False  # since a command was begun
        self._due = 0  # output packets
        for name, channel in self._inputs.items():
            channel.stream = f"s_axis_{name}"
        output.stream = "m_axis_o"
        self.discard()

    def read32(self, address: int) -> int:
        return self._registers.read32(address)

    def write32(self, address: int, word: int) -> None:
        self._registers.write32(address, word)

    def send(self, stream: str, packet: bytes) -> None:
        self._inputs[stream].waiting.append(packet)
        self._inputs[stream].move()

    def receive(self, size: int) -> bytes | None:
        self._move()
        packet = self._output.receive(size)
        self._due -= packet is not None
        return packet

    def unsent(self) -> dict[str, int]:
        return {name: len(channel.waiting) + channel.busy for name, channel in self._inputs.items()}

    def expect(self, packets: int) -> bool:
        self._due, self._irq_came = packets, False
        return self._irq is not None

    def wait(self) -> None:
        self._move()
        channels = (*self._inputs.values(), self._output)
        interrupts = {id(one): one for one in (self._irq, *(channel.interrupt for channel in channels)) if one}
        seconds = self._poll_seconds if self._needs_polling() else self._longest_wait
        if not interrupts:
            time.sleep(self._poll_seconds)
        elif self._irq in _wait_any(list(interrupts.values()), seconds):
            self._irq_came = True

    def time(self) -> float:
        return time.monotonic()

    def discard(self) -> None:
        for channel in self._inputs.values():
            channel.waiting.clear()
            channel.reset()
        self._output.reset()

    def _move(self) -> None:
        for channel in self._inputs.values():
            channel.move()

    def _needs_polling(self) -> bool:
        """Whether something must be done of which no interrupt will say when."""
        sends = any(channel.waiting and channel.interrupt is None for channel in self._inputs.values())
        comes = self._output.interrupt is None and (self._due > 1 or (self._due == 1 and self._irq_came))
        ends = self._irq is None and self._due < 1
        return sends or comes or ends


def _wait_any(interrupts: Sequence[Interrupt], seconds: float) -> list[Interrupt]:
    """Those that have come, after at most so many seconds."""
    for interrupt in interrupts:
        interrupt.enable()
    came: list[Interrupt] = select.select(interrupts, [], [], seconds)[0]
    for interrupt in came:
        interrupt.acknowledge()
    return came
