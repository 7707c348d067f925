"""How sure a difference between two results on the same items is: a paired bootstrap over items."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000


def paired_interval(
    first: NDArray[np.float64], second: NDArray[np.float64], *, level: float = 0.95, seed: int = 0
) -> dict[str, Any]:
    """Mean of ``first - second`` over items, (n,) each, and the interval in which it lies at ``level``.

    Items are drawn anew with replacement, always both results of an item together; percentiles of 10,000 such means.
    """
    differences = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    draws = np.random.default_rng(seed).integers(0, len(differences), (RESAMPLES, len(differences)))
    low, high = np.quantile(differences[draws].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return {
        "mean": float(differences.mean()),
        "low": float(low),
        "high": float(high),
        "level": level,
        "items": len(differences),
        "method": f"paired bootstrap, {RESAMPLES} resamples, seed {seed}",
    }
