"""What one run feeds to the core: integers only, so that the simulator's process needs nothing of the golden model."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from golden.files.tensors import TensorFile

_ARRAYS = ("q8", "k8", "v8", "threshold", "softmax_scale")


@dataclass(frozen=True)
class Traffic:
    """Queries, keys and values of every head, with the registers that go with them.

    Shapes: ``q8`` (heads, queries, D); ``k8`` and ``v8`` (K/V heads, keys, D); ``threshold`` (heads,);
    ``softmax_scale`` (heads, 2) = mantissa, shift. Query head ``h`` uses K/V head ``h // group``.
    """

    q8: NDArray[np.int8]
    k8: NDArray[np.int8]
    v8: NDArray[np.int8]
    threshold: NDArray[np.int64]
    softmax_scale: NDArray[np.int64]
    causal_offset: int

    @classmethod
    def from_tensors(cls, tensors: "TensorFile") -> "Traffic":
        return cls(
            tensors.q8, tensors.k8, tensors.v8, tensors.tau_int, tensors.softmax_scale, int(tensors.causal_offset)
        )

    @property
    def heads(self) -> int:
        return len(self.q8)

    @property
    def kv_heads(self) -> int:
        return len(self.k8)

    @property
    def group(self) -> int:
        """Query heads that share one K/V head."""
        return self.heads // self.kv_heads

    @property
    def queries(self) -> int:
        return self.q8.shape[1]

    @property
    def keys(self) -> int:
        return self.k8.shape[1]

    def valid(self, causal: bool) -> NDArray[np.bool_]:
        """Which key each query may see, shape (queries, keys)."""
        if not causal:
            return np.ones((self.queries, self.keys), bool)
        return np.arange(self.keys) <= np.arange(self.queries)[:, None] + self.causal_offset

    def save(self, path: Path) -> None:
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        np.savez(path, causal_offset=np.int64(self.causal_offset), **arrays)

    @classmethod
    def load(cls, path: Path) -> "Traffic":
        with np.load(path) as arrays:
            return cls(**{name: arrays[name] for name in _ARRAYS}, causal_offset=int(arrays["causal_offset"]))
