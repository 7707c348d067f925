"""Reading .npz archives: only the members that are asked for, each judged by its header before its data is read."""

import math
import os
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from latte_hw.config.errors import LatteError

Array = NDArray[Any]

ENCRYPTED = 0x1
"""Bit of a member's flags."""

PLAIN_KINDS = "biufcSU"
"""Kinds of types that hold nothing but their own bytes: no objects, no structures."""


@dataclass(frozen=True)
class _Header:
    """What a member says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def placeholder(self) -> Array:
        """An array of that shape and type which takes no memory; the byte order is the machine's."""
        return np.broadcast_to(np.zeros((), self.dtype.newbyteorder("=")), self.shape)


def read_npz(
    path: Path | str,
    names: Collection[str] | None = None,
    kind: str = "tensor file",
    check: Callable[[Mapping[str, Array]], object] | None = None,
) -> dict[str, Array]:
    """Arrays of an .npz file by name, in the machine's byte order: those of ``names`` that are there, or all.

    Other members, whatever they are, are not looked at. ``check`` is called before any data is read, with arrays that
    have shape and type of what will be, but zeros in them; it may raise.

    Raises :class:`LatteError`, with the member's name, on what is missing, damaged, encrypted, no plain array, or
    larger than this machine's memory; ``kind`` is what to call the file.
    """
    path = Path(path)
    what = f"{kind} {path}"
    with _opened(path, what) as archive:
        members = {info.filename: info for info in archive.infolist()}
        if names is None:
            names = [name.removesuffix(".npy") for name in members if name.endswith(".npy")]
        readers = {}
        for name in names:
            if f"{name}.npy" in members:
                readers[name] = _Member(archive, members[f"{name}.npy"], f"member {name} of {what}")
            elif name in members:
                raise LatteError(f"member {name} of {what} must be an array, {name}.npy")
        headers = {name: reader.header() for name, reader in readers.items()}
        if check is not None:
            check({name: header.placeholder() for name, header in headers.items()})
        return {name: reader.array(headers[name]) for name, reader in readers.items()}


@contextmanager
def _opened(path: Path, what: str) -> Iterator[zipfile.ZipFile]:
    with _sentences(what):
        stream = path.open("rb")
    with stream:
        with _sentences(what, "is not a readable .npz archive"):
            if stream.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
                raise LatteError(f"{what} must be an .npz archive of named arrays, not one array")
            archive = zipfile.ZipFile(stream)
        yield archive


class _Member:
    """One array of an archive."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> None:
        self._archive, self._info, self._name = archive, info, name
        if info.flag_bits & ENCRYPTED:
            raise LatteError(f"{name} must not be encrypted")

    def header(self) -> _Header:
        """:class:`LatteError` unless it is that of a plain array which is there whole and fits the memory."""
        with _sentences(self._name), self._archive.open(self._info) as file:
            header = _read_header(file, self._name)
            left = self._info.file_size - file.tell()
        if header.bytes > left:
            lacks = header.bytes - left
            raise LatteError(f"{self._name} is no readable array: it lacks {lacks:,} of its {header.bytes:,} bytes")
        if (memory := _memory_bytes()) is not None and header.bytes > memory:
            raise LatteError(f"{self._name} has {header.bytes:,} bytes, more than the {memory:,} of this machine")
        return header

    def array(self, header: _Header) -> Array:
        with _sentences(self._name), self._archive.open(self._info) as file:
            array: Array = np.lib.format.read_array(file, allow_pickle=False)
            if file.read(1):  # read to its end, the checksum is looked at
                raise LatteError(f"{self._name} is no readable array: it goes on behind its {header.bytes:,} bytes")
        return array.astype(header.dtype.newbyteorder("="), copy=False)


def _read_header(file: IO[bytes], name: str) -> _Header:
    version = np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
    readers: dict[tuple[int, int], Any] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise LatteError(f"{name} must be a plain array: version {version[0]}.{version[1]} of the format is for others")
    with _sentences(name, "is no readable array: NumPy does not read its header"):
        shape, _, dtype = readers[version](file)
    if dtype.kind not in PLAIN_KINDS:
        raise LatteError(f"{name} must be a plain array, not one of {dtype}")
    if any(length < 0 for length in shape):
        raise LatteError(f"{name} is no readable array: its shape is {shape}")
    return _Header(shape, dtype)


@contextmanager
def _sentences(what: str, problem: str = "is no readable array") -> Iterator[None]:
    """Within the block, whatever is wrong with a file comes out as a :class:`LatteError`."""
    try:
        yield
    except LatteError:
        raise
    except OSError as error:
        raise LatteError(f"{what} cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise LatteError(f"{what} is larger than the memory that is left") from None
    except NotImplementedError as error:
        raise LatteError(f"{what} cannot be unpacked here: {_first_line(error)}") from None
    except Exception as error:  # on damaged bytes, zipfile and NumPy raise whatever they stumble over
        raise LatteError(f"{what} {problem}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".: ")[:200]


def _memory_bytes() -> int | None:
    """Of this machine; None where it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
