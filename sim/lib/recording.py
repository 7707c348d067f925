"""What a bench saw in one run, as raw payloads: decoded afterwards, all beats of a port at once."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.lib.layout import Raw


@dataclass(frozen=True)
class Beats:
    """Transfers of one port: ``raw`` payloads, and the cycle of each (counted from the end of reset)."""

    raw: Raw
    cycles: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.cycles)


@dataclass
class Recording:
    """One run of the core.

    ``beats`` holds every output stream and tap; ``accepted`` the transfer cycles of every input stream; ``counters``
    the raw counters after reset and then once for every sample (a head, or the whole run back to back). ``seconds`` is
    the processor time that the simulation of those cycles took, without starting and ending.
    """

    cycles: int
    counters: Raw
    beats: dict[str, Beats] = field(default_factory=dict)
    accepted: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        arrays: dict[str, Any] = {"cycles": np.int64(self.cycles), "counters": self.counters}
        for name, beats in self.beats.items():
            arrays[f"raw.{name}"], arrays[f"cycle.{name}"] = beats.raw, beats.cycles
        arrays.update({f"accepted.{name}": cycles for name, cycles in self.accepted.items()})
        np.savez(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Recording":
        with np.load(path) as arrays:
            recording = cls(int(arrays["cycles"]), arrays["counters"])
            for key in arrays.files:
                kind, _, name = key.partition(".")
                if kind == "raw":
                    recording.beats[name] = Beats(arrays[key], arrays[f"cycle.{name}"])
                elif kind == "accepted":
                    recording.accepted[name] = arrays[key]
        return recording


def first_difference_of(expected: Recording, got: Recording) -> str | None:
    """The first array in which two runs of one core differ, or None: every payload, every cycle, every counter."""
    if expected.cycles != got.cycles:
        return f"{got.cycles} cycles, not {expected.cycles}"
    if not np.array_equal(expected.counters, got.counters):
        return "other counters"
    if (expected.beats.keys(), expected.accepted.keys()) != (got.beats.keys(), got.accepted.keys()):
        return "other ports"
    for name, beats in expected.beats.items():
        if not np.array_equal(beats.raw, got.beats[name].raw):
            return f"{name}: other payloads"
        if not np.array_equal(beats.cycles, got.beats[name].cycles):
            return f"{name}: other cycles"
    different = (name for name, cycles in expected.accepted.items() if not np.array_equal(cycles, got.accepted[name]))
    return next((f"{name}: other cycles" for name in different), None)
