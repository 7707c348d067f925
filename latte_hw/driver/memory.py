"""The driver's transport on hardware: registers in mapped memory, and AXI DMA engines in simple mode for the streams.

Each input stream needs an MM2S channel and the output an S2MM channel of an AXI DMA (AMD's PG021: direct register mode,
no scatter-gather), and each channel a buffer that the engine can reach, for a packet at a time: K and V packets have
n_keys · head_dim bytes, Q packets n_queries · head_dim, output packets that times the bytes of an element. Buffers are
at least so large, and the engine's length register is as wide as that asks for.

On Linux, as root or with the rights to the device files::

    registers = MappedWindow("/dev/mem", 0x4000_0000, 0x2000)              # or /dev/uio0 at 0
    engine = MappedWindow("/dev/mem", 0x4040_0000, 0x1000)
    buffer = MappedBuffer("/dev/udmabuf0", physical_address, 1 << 20)      # memory that the processor does not cache
    transport = MemoryTransport(
        registers,
        inputs={"q": MM2S(engine, buffer), "k": ..., "v": ...},
        output=S2MM(engine, other_buffer),
    )
    latte = Latte.of_description(transport, "latte_top.json")

Under PYNQ a window is `pynq.MMIO` (its `read` and `write`) and a buffer `pynq.allocate`: both fit in a few lines.
"""

import mmap
import os
import time
from collections import deque
from collections.abc import Mapping
from typing import Protocol

from latte_hw.driver.errors import BusError

RUN, RESET = 1 << 0, 1 << 2
HALTED, IDLE, ERRORS = 1 << 0, 1 << 1, 0b111 << 4
CONTROL, STATUS, ADDRESS, ADDRESS_HIGH, LENGTH = 0x00, 0x04, 0x18, 0x1C, 0x28
"""Registers of a channel, from the channel's base."""

TRIES = 10_000


class Window(Protocol):
    """Registers of 32 bits, by byte offset."""

    def read32(self, offset: int) -> int: ...

    def write32(self, offset: int, word: int) -> None: ...


class Buffer(Protocol):
    """Memory that processor and DMA engine see alike; `address` is the engine's, `size` counts bytes."""

    address: int
    size: int

    def write(self, content: bytes) -> None: ...

    def read(self, size: int) -> bytes: ...


class MappedWindow:
    """A device file's bytes from `base` on, accessed in whole words. `base` is a multiple of the page size."""

    def __init__(self, path: str, base: int, size: int) -> None:
        self._map = _mapped(path, base, size)
        self._words = memoryview(self._map).cast("I")

    def read32(self, offset: int) -> int:
        return self._words[offset // 4]

    def write32(self, offset: int, word: int) -> None:
        self._words[offset // 4] = word


class MappedBuffer:
    """A device file of contiguous memory, as of u-dma-buf, whose physical address is `address`."""

    def __init__(self, path: str, address: int, size: int, base: int = 0) -> None:
        self.address, self.size = address, size
        self._map = _mapped(path, base, size)

    def write(self, content: bytes) -> None:
        self._map[: len(content)] = content

    def read(self, size: int) -> bytes:
        return bytes(self._map[:size])


def _mapped(path: str, base: int, size: int) -> mmap.mmap:
    try:
        file = os.open(path, os.O_RDWR | os.O_SYNC)
        try:
            return mmap.mmap(file, size, offset=base)
        finally:
            os.close(file)
    except (OSError, ValueError) as error:
        raise BusError(f"{path} cannot be mapped at {base:#x}: {error}") from None


class _Channel:
    base = 0x00

    def __init__(self, window: Window, buffer: Buffer) -> None:
        self._window, self._buffer = window, buffer
        self.busy = False

    def reset(self) -> None:
        """Reset the engine, both channels of it."""
        self._write(CONTROL, RESET)
        for _ in range(TRIES):
            if not self._read(CONTROL) & RESET:
                break
        else:
            raise BusError("a DMA engine does not leave its reset")
        self.busy = False

    def _begin(self, size: int, content: bytes = b"") -> None:
        if size > self._buffer.size:
            raise BusError(f"a packet of {size} bytes does not fit the DMA buffer of {self._buffer.size}")
        if content:
            self._buffer.write(content)
        if self._read(STATUS) & HALTED:
            self._write(CONTROL, RUN)
        self._write(ADDRESS, self._buffer.address & 0xFFFF_FFFF)
        self._write(ADDRESS_HIGH, self._buffer.address >> 32)
        self._write(LENGTH, size)
        self.busy = True

    def finished(self) -> bool:
        """Whether what was begun is done; :class:`BusError` when the engine has failed."""
        status = self._read(STATUS)
        if status & ERRORS:
            raise BusError(f"a DMA engine stopped with status {status:#010x}: is its buffer's address right?")
        return self.busy and bool(status & IDLE)

    def _read(self, register: int) -> int:
        return self._window.read32(self.base + register)

    def _write(self, register: int, word: int) -> None:
        self._window.write32(self.base + register, word)


class MM2S(_Channel):
    """Memory to stream: sends packets one after the other."""

    def __init__(self, window: Window, buffer: Buffer) -> None:
        super().__init__(window, buffer)
        self.waiting: deque[bytes] = deque()

    def move(self) -> None:
        """Begin with the next packet if the last one has gone."""
        if self.busy and self.finished():
            self.busy = False
        if self.waiting and not self.busy:
            packet = self.waiting.popleft()
            self._begin(len(packet), packet)


class S2MM(_Channel):
    """Stream to memory: takes one packet at a time."""

    base = 0x30

    def receive(self, size: int) -> bytes | None:
        """The packet that was asked for, if it is there; otherwise it is asked for."""
        if not self.busy:
            self._begin(size)
        if not self.finished():
            return None
        self.busy = False
        return self._buffer.read(self._read(LENGTH))  # the engine leaves there how many bytes came


class MemoryTransport:
    """See the module, and :class:`latte_hw.driver.transport.Transport`. Resets the DMA engines."""

    def __init__(
        self, registers: Window, inputs: Mapping[str, MM2S], output: S2MM, poll_seconds: float = 50e-6
    ) -> None:
        self._registers, self._inputs, self._output = registers, dict(inputs), output
        self._poll_seconds = poll_seconds
        self.discard()

    def read32(self, address: int) -> int:
        return self._registers.read32(address)

    def write32(self, address: int, word: int) -> None:
        self._registers.write32(address, word)

    def send(self, stream: str, packet: bytes) -> None:
        self._inputs[stream].waiting.append(packet)
        self._inputs[stream].move()

    def receive(self, size: int) -> bytes | None:
        for channel in self._inputs.values():
            channel.move()
        return self._output.receive(size)

    def unsent(self) -> dict[str, int]:
        return {name: len(channel.waiting) + channel.busy for name, channel in self._inputs.items()}

    def wait(self) -> None:
        for channel in self._inputs.values():
            channel.move()
        time.sleep(self._poll_seconds)

    def time(self) -> float:
        return time.monotonic()

    def discard(self) -> None:
        for channel in self._inputs.values():
            channel.waiting.clear()
            channel.reset()
        self._output.reset()
