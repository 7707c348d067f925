"""Registers, memory and interrupts of a device under Linux, by its files in `/dev`; what else may stand for them."""

import mmap
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from latte_hw.driver.errors import BusError

WORD = 8
"""Bytes of the words that a buffer is copied in."""

SYNC_MODE = 0b11
"""Bits of u-dma-buf's `sync_mode` that say how O_SYNC maps; with bit 2 every file is mapped so. 0 leaves the cache."""


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


class Interrupt(Protocol):
    """An interrupt that a program can wait for: a file that becomes readable."""

    def fileno(self) -> int: ...

    def enable(self) -> None:
        """Let it come, once; it comes at once if its line is high already."""

    def acknowledge(self) -> None:
        """Make the file unreadable again, when it has come."""


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
    """A device file of contiguous memory, as of u-dma-buf, whose physical address is `address`.

    It is opened with O_SYNC, which keeps it out of the processor's cache, and copied in words of 8 bytes at multiples
    of 8: on ARM64 memory out of the cache may be of the kind of a device's, where an access that is not aligned, as
    memcpy and memset make them, is a bus error. So up to 7 bytes behind what is written become 0.
    """

    def __init__(self, path: str, address: int, size: int, base: int = 0) -> None:
        self.address, self.size = address, size
        self._map = _mapped(path, base, _words(size) * WORD)
        self._words = np.frombuffer(self._map, np.uint64)

    def write(self, content: bytes) -> None:
        words = np.zeros(_words(len(content)), np.uint64)
        words.view(np.uint8)[: len(content)] = np.frombuffer(content, np.uint8)
        copy_words(self._words, words)

    def read(self, size: int) -> bytes:
        words = np.empty(_words(size), np.uint64)
        copy_words(words, self._words[: len(words)])
        return words.tobytes()[:size]


class UioInterrupt:
    """The interrupt of a UIO device file, as of `uio_pdrv_genirq`.

    The kernel masks it when it comes, and lets it through again when a 1 is written; reading waits for it, and gives
    how often it has come.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise BusError(f"{path} cannot be opened: {error.strerror}") from None

    def fileno(self) -> int:
        return self._file

    def enable(self) -> None:
        with self._has_interrupts():
            os.write(self._file, (1).to_bytes(4, sys.byteorder))

    def acknowledge(self) -> None:
        with self._has_interrupts():
            os.read(self._file, 4)

    def close(self) -> None:
        os.close(self._file)

    @contextmanager
    def _has_interrupts(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BusError(f"{self._path} has no interrupt ({error.strerror}): name it in the device tree") from None


def dma_buffer(name: str, size: int, base: int = 0, root: Path = Path("/")) -> MappedBuffer:
    """`size` bytes of a buffer of u-dma-buf, as `udmabuf0`, from `base` on, a multiple of the page size.

    Where it lies is read from `/sys/class/u-dma-buf`. :class:`BusError` when there is no such buffer, it is smaller, or
    the processor would cache it: `sync_mode` must be 1 (not cached) or 2 (write-combining), unless the buffer is
    coherent by hardware. `root` stands for the root of the file system.
    """
    facts = {}
    for fact in ("phys_addr", "size", "sync_mode", "dma_coherent"):
        file = root / "sys" / "class" / "u-dma-buf" / name / fact
        try:
            facts[fact] = int(file.read_text(), 0)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a number"
            raise BusError(f"there is no buffer {name} of u-dma-buf: {file}: {reason}") from None
    if base + size > facts["size"]:
        raise BusError(f"{name} must have at least {base + size} bytes, not {facts['size']}")
    if not facts["sync_mode"] & SYNC_MODE and not facts["dma_coherent"]:
        raise BusError(
            f"{name} would be cached, and the DMA engine not see what was written: sync_mode must be 1 or 2, "
            f"not {facts['sync_mode']}"
        )
    return MappedBuffer(str(root / "dev" / name), facts["phys_addr"] + base, size, base)


def copy_words(to: NDArray[Any], source: NDArray[Any]) -> None:
    """Copy the words of an array to the beginning of another, each by an access of its own.

    Every other one at a time: what has gaps NumPy does not leave to memcpy, which takes the end of a block in accesses
    that overlap, and are not aligned.
    """
    for first in (0, 1):
        to[first : len(source) : 2] = source[first::2]


def _words(size: int) -> int:
    return -(-size // WORD)


def _mapped(path: str, base: int, size: int) -> mmap.mmap:
    try:
        file = os.open(path, os.O_RDWR | os.O_SYNC)
        try:
            return mmap.mmap(file, size, offset=base)
        finally:
            os.close(file)
    except (OSError, ValueError) as error:
        raise BusError(f"{path} cannot be mapped at {base:#x}: {error}") from None
