"""Channels of an AXI DMA engine in direct register mode (AMD's PG021: no scatter-gather), one transfer at a time."""

from collections import deque

from latte_hw.driver.errors import BusError, DmaLengthError
from latte_hw.driver.mapped import Buffer, Interrupt, Window

RUN, RESET, COMPLETION_IRQ, ERROR_IRQ = 1 << 0, 1 << 2, 1 << 12, 1 << 14
"""Bits of CONTROL."""

HALTED, IDLE, SCATTER_GATHER, COMPLETED, FAILED = 1 << 0, 1 << 1, 1 << 3, 1 << 12, 1 << 14
INTERNAL_ERROR, ERRORS = 1 << 4, 0b111 << 4
"""Bits of STATUS. COMPLETED and FAILED hold the interrupt until 1 is written to them."""

CONTROL, STATUS, ADDRESS, ADDRESS_HIGH, LENGTH = 0x00, 0x04, 0x18, 0x1C, 0x28
"""Registers of a channel, from the channel's base."""

TRIES = 10_000


class _Channel:
    base = 0x00

    def __init__(self, window: Window, buffer: Buffer, interrupt: Interrupt | None = None) -> None:
        self._window, self._buffer = window, buffer
        self.interrupt = interrupt
        self.busy = False
        self.stream = "a stream"
        """What errors call the other end."""

    def reset(self) -> None:
        """Reset the engine, both channels of it."""
        self._write(CONTROL, RESET)
        for _ in range(TRIES):
            if not self._read(CONTROL) & RESET:
                break
        else:
            raise BusError(f"the DMA engine of {self.stream} does not leave its reset")
        self.busy = False
        if self._read(STATUS) & SCATTER_GATHER:
            raise BusError(
                f"the DMA engine of {self.stream} must have no scatter-gather engine: its direct register mode is used"
            )

    def _begin(self, size: int, content: bytes = b"") -> None:
        if size > self._buffer.size:
            raise BusError(
                f"a packet of {size} bytes does not fit the DMA buffer of {self._buffer.size} for {self.stream}"
            )
        if content:
            self._buffer.write(content)
        # This read is answered by the engine, and lies between the memory's last write and the start of the transfer: a
        # write buffer in the processor has been emptied by then.
        if self._read(STATUS) & HALTED:
            self._write(CONTROL, RUN if self.interrupt is None else RUN | COMPLETION_IRQ | ERROR_IRQ)
        self._write(ADDRESS, self._buffer.address & 0xFFFF_FFFF)
        self._write(ADDRESS_HIGH, self._buffer.address >> 32)
        self._write(LENGTH, size)
        self.busy = True
        if not self._has_length(size):
            raise DmaLengthError(
                f"the DMA engine of {self.stream} does not move {size} bytes at a time: its Width of Buffer Length "
                f"Register must be at least {size.bit_length()} bits"
            )

    def _has_length(self, size: int) -> bool:
        """Whether the engine has taken a length whole; a narrower register keeps the low bits, and 0 starts nothing."""
        return self._read(LENGTH) == size

    def finished(self) -> bool:
        """Whether what was begun is done; :class:`BusError` when the engine has failed."""
        status = self._read(STATUS)
        if status & ERRORS:
            why = "is its buffer's address right?"
            if status & INTERNAL_ERROR:
                why = "a packet was longer than the transfer"
            raise BusError(f"the DMA engine of {self.stream} stopped with status {status:#010x}: {why}")
        done = self.busy and bool(status & IDLE)
        if done and self.interrupt is not None:
            self._write(STATUS, COMPLETED | FAILED)
        return done

    def _read(self, register: int) -> int:
        return self._window.read32(self.base + register)

    def _write(self, register: int, word: int) -> None:
        self._window.write32(self.base + register, word)


class MM2S(_Channel):
    """Memory to stream: sends packets one after the other, each a transfer from the beginning of the buffer.

    With `interrupt`, the engine is set to raise it at the end of a transfer.
    """

    def __init__(self, window: Window, buffer: Buffer, interrupt: Interrupt | None = None) -> None:
        super().__init__(window, buffer, interrupt)
        self.waiting: deque[bytes] = deque()

    def move(self) -> None:
        """Begin with the next packet if the last one has gone."""
        if self.busy and self.finished():
            self.busy = False
        if self.waiting and not self.busy:
            packet = self.waiting.popleft()
            self._begin(len(packet), packet)


class S2MM(_Channel):
    """Stream to memory: takes one packet at a time. `interrupt` as of :class:`MM2S`."""

    base = 0x30

    def receive(self, size: int) -> bytes | None:
        """The packet that was asked for, if it is there; otherwise it is asked for."""
        if not self.busy:
            self._begin(size)
        if not self.finished():
            return None
        self.busy = False
        return self._buffer.read(self._read(LENGTH))  # the engine leaves there how many bytes came

    def _has_length(self, size: int) -> bool:
        """As above; a packet that waited may have come by now, and have left its own length."""
        length = self._read(LENGTH)
        return length == size or (length > 0 and bool(self._read(STATUS) & IDLE))
