"""Cycles of a head, exactly as simulation counts them, from which keys its queries keep."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latte_hw.config import CoreConfig, DenseConfig, LatteConfig
from latte_hw.estimate.chain import output_cycles
from latte_hw.estimate.dense_chain import dense_output_cycles
from latte_hw.estimate.pattern import Pattern


@dataclass(frozen=True)
class Cycles:
    """Of a single job in a drained core, streams never starving: ``left`` (N_q,) is the cycle in which each output row
    leaves, counted from the one in which the first query is taken."""

    left: NDArray[np.int64]

    @property
    def total(self) -> int:
        """From the first query to the last output row, both included."""
        return int(self.left[-1]) + 1

    @property
    def first(self) -> int:
        """From taking the first query to its output row."""
        return int(self.left[0])

    @property
    def per_query(self) -> float:
        """Mean distance of output rows; of a single query its latency."""
        if len(self.left) == 1:
            return float(self.total)
        return float(self.left[-1] - self.left[0]) / (len(self.left) - 1)


def cycles_of(pattern: Pattern, config: CoreConfig) -> Cycles:
    """Cycles of one head; the dense core prunes nothing and asks only for the pattern's valid keys."""
    if isinstance(config, DenseConfig):
        return Cycles(dense_output_cycles(pattern.valid, config))
    assert isinstance(config, LatteConfig)
    return Cycles(output_cycles(pattern, config))
