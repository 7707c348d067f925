"""How far the integer softmax and weighted sum are from real arithmetic over the same kept integer scores."""

import numpy as np
from numpy.typing import NDArray

from golden.attention import attention
from golden.files.tensors import TensorFile
from latte_hw.config import LatteConfig

CONTRACT: dict[int, tuple[float, float]] = {8: (1.25, 0.27), 12: (0.6, 0.255), 16: (0.6, 0.255)}
"""Greatest and mean absolute error, in V's int8 steps, that a real trace may show, by ``prob_bits``.

Rounding the outputs to int8 alone costs 0.5 and about 0.25.
"""


def output_errors(tensors: TensorFile, config: LatteConfig) -> NDArray[np.float64]:
    """Absolute errors of the outputs against float64 softmax, in V's int8 steps, shape (heads, queries, head_dim)."""
    results = attention(tensors, config)
    steps = tensors.scale_q.astype(np.float64) * tensors.scale_k.repeat(tensors.group)
    logits = results["score"] * (steps / np.sqrt(config.head_dim))[:, None, None]
    logits[~results["keep"]] = -np.inf
    best = logits.max(axis=2, keepdims=True)
    weights = np.exp(logits - np.where(np.isneginf(best), 0.0, best))
    total = weights.sum(axis=2, keepdims=True)
    weights /= np.where(total == 0, 1.0, total)  # a row without a key puts out zero
    ideal = weights @ tensors.v8.repeat(tensors.group, axis=0).astype(np.float64)
    errors: NDArray[np.float64] = np.abs(results["out"] / 2**config.out_fraction_bits - ideal)
    return errors
