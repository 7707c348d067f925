"""Images in memory: pixels, labels, and what to cite them by."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from golden.train.task import Part
from latte_hw.config.errors import LatteError

Symmetry = Literal["dihedral", "small", "mirror"]
"""What may be done to an image without changing its class; see :mod:`golden.train.augment`."""


@dataclass(frozen=True)
class Images:
    """Some images of one size."""

    pixels: NDArray[np.uint8]  # (n, channels, size, size)
    labels: NDArray[np.int64]  # (n,)
    patches: NDArray[np.uint8] | None = None  # (n, p, p): what a patch shows, 0 for background; only rendered images

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class ImageSet:
    """Images in two parts that share none."""

    train: Images
    held_out: Images
    classes: tuple[str, ...]
    name: str  # no path of this machine
    seed: int  # of the split, or of the scenes
    symmetry: Symmetry

    def __post_init__(self) -> None:
        if not len(self.train) or not len(self.held_out):
            raise LatteError(
                f"{self.name} gives {len(self.train)} training and {len(self.held_out)} held-out images; "
                "each part needs some"
            )

    def part(self, part: Part) -> Images:
        return self.train if part == "train" else self.held_out

    @property
    def channels(self) -> int:
        return self.train.pixels.shape[1]

    @property
    def size(self) -> int:
        return self.train.pixels.shape[2]

    def relabelled(self, numbers: dict[str, int]) -> "ImageSet":
        """The same images with a model's own class numbers, where it knows every class by name; otherwise as it is."""
        if not set(self.classes) <= set(numbers):
            return self
        table = np.array([numbers[name] for name in self.classes], np.int64)
        names = {number: name for name, number in numbers.items()}
        return replace(
            self,
            train=replace(self.train, labels=table[self.train.labels]),
            held_out=replace(self.held_out, labels=table[self.held_out.labels]),
            classes=tuple(names[i] for i in sorted(names)),
        )

    def describe(self) -> dict[str, Any]:
        """Plain values for reports and training records."""
        labels = hashlib.sha256()
        for part in (self.train, self.held_out):
            labels.update(part.labels.tobytes())
        return {
            "source": self.name,
            "size": self.size,
            "channels": self.channels,
            "classes": len(self.classes),
            "train": len(self.train),
            "held_out": len(self.held_out),
            "split_seed": self.seed,
            "labels_sha256": labels.hexdigest(),
        }
