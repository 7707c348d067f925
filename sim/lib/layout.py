"""Payload bits of a port, as the emitted JSON description lays them out: NumPy arrays in, NumPy arrays out."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latte_hw.config import CoreConfig
from latte_hw.config.loading import config_of

Raw = NDArray[np.uint8]
"""Payloads as little-endian bytes, shape (beats, bytes of a payload)."""


@dataclass(frozen=True)
class Field:
    """``count`` equal elements of ``width`` bits, element 0 in the least significant bits."""

    name: str
    offset: int
    width: int
    signed: bool
    count: int

    @property
    def bits(self) -> int:
        return self.width * self.count

    @property
    def limits(self) -> tuple[int, int]:
        """Least and greatest value of an element."""
        return (-(1 << self.width - 1), (1 << self.width - 1) - 1) if self.signed else (0, (1 << self.width) - 1)


@dataclass(frozen=True)
class Port:
    """One port of the core. ``kind`` is "stream" (ready/valid), "tap" (valid only) or "signal" (free running)."""

    name: str
    kind: str
    direction: str
    width: int
    fields: tuple[Field, ...]

    @property
    def bytes(self) -> int:
        return (self.width + 7) // 8

    def field(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)

    def pack(self, values: dict[str, ArrayLike] | ArrayLike) -> list[int]:
        """Payloads of a run of beats, one integer each; see :meth:`pack_raw`."""
        return to_integers(self.pack_raw(values))

    def pack_raw(self, values: dict[str, ArrayLike] | ArrayLike) -> Raw:
        """Payloads of a run of beats.

        ``values`` gives for each field an array of shape (beats,), or (beats, count) for an array of elements; a bare
        array stands for the only field. Raises :class:`ValueError` when a field is missing or an element does not fit.
        """
        if not isinstance(values, dict):
            values = {self.fields[0].name: values}
        if set(values) != {field.name for field in self.fields}:
            raise ValueError(f"{self.name} has fields {[field.name for field in self.fields]}, not {list(values)}")
        columns = {field.name: np.asarray(values[field.name], np.int64) for field in self.fields}
        beats = len(next(iter(columns.values())))
        bits = np.zeros((beats, 8 * self.bytes), np.uint8)
        for field in self.fields:
            elements = columns[field.name].reshape(beats, field.count)
            low, high = field.limits
            if elements.size and (elements.min() < low or elements.max() > high):
                raise ValueError(f"{self.name}.{field.name} holds {low} to {high}, not all of {elements.ravel()[:8]}")
            spread = (elements[:, :, None] >> np.arange(field.width)) & 1
            bits[:, field.offset : field.offset + field.bits] = spread.reshape(beats, -1)
        return np.packbits(bits, axis=1, bitorder="little")

    def unpack(self, raw: Raw) -> dict[str, NDArray[np.int64]]:
        """Fields of a run of beats: shape (beats,), or (beats, count) for an array of elements."""
        bits = np.unpackbits(raw, axis=1, bitorder="little")
        return {field.name: _elements(bits, field) for field in self.fields}


def _elements(bits: NDArray[np.uint8], field: Field) -> NDArray[np.int64]:
    block = bits[:, field.offset : field.offset + field.bits].reshape(len(bits), field.count, field.width)
    elements = np.zeros((len(bits), field.count), np.int64)
    for bit in range(field.width):
        elements |= block[:, :, bit].astype(np.int64) << bit
    if field.signed:
        elements -= (elements >> field.width - 1) << field.width
    return elements if field.count > 1 else elements[:, 0]


def to_integers(raw: Raw) -> list[int]:
    """Each row of bytes as one integer."""
    rows = np.ascontiguousarray(raw).view(f"V{raw.shape[1]}").ravel()
    return [int.from_bytes(row, "little") for row in rows.tolist()]


def to_raw(payloads: list[int], payload_bytes: int) -> Raw:
    """Integers as rows of bytes; the inverse of :func:`to_integers`."""
    joined = b"".join(payload.to_bytes(payload_bytes, "little") for payload in payloads)
    return np.frombuffer(joined, np.uint8).reshape(len(payloads), payload_bytes)


@dataclass(frozen=True)
class Description:
    """What the JSON beside an emitted Verilog file says about it."""

    top: str
    config: CoreConfig
    taps: bool
    ports: dict[str, Port]

    @classmethod
    def load(cls, path: Path) -> "Description":
        return cls.from_json(json.loads(path.read_text()))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Description":
        ports = {
            name: Port(
                name=name,
                kind=port["kind"],
                direction=port["direction"],
                width=port["width"],
                fields=tuple(Field(**field) for field in port["fields"]),
            )
            for name, port in content["ports"].items()
        }
        return cls(content["top"], config_of(content), content["taps"], ports)

    def _of(self, kind: str, direction: str) -> list[Port]:
        return [port for port in self.ports.values() if (port.kind, port.direction) == (kind, direction)]

    @cached_property
    def sources(self) -> list[Port]:
        """Streams that the bench drives."""
        return self._of("stream", "in")

    @cached_property
    def sinks(self) -> list[Port]:
        """Streams that the bench takes from."""
        return self._of("stream", "out")

    @cached_property
    def tap_ports(self) -> list[Port]:
        """Valid-only observation points."""
        return self._of("tap", "out")
