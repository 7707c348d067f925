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
    the raw counters after reset and then once for every sample (a head, or the whole run back to back).
    """

    cycles: int
    counters: Raw
    beats: dict[str, Beats] = field(default_factory=dict)
    accepted: dict[str, NDArray[np.int64]] = field(default_factory=dict)

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
