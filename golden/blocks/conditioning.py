"""Host-side conditioning of queries and keys before quantisation: exact on paper, kinder to a 4-bit estimate.

Both methods spread outlier channels. Neither changes a softmax weight or a differential mask in real arithmetic:
`smooth_k` shifts all scores of a row by the same amount, `rotate` keeps every dot product.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from golden.blocks.arith import Array
from latte_hw.config.errors import LatteError
from latte_hw.config.thresholds import check_conditioning


def smooth_k(k: Array) -> NDArray[np.float32]:
    """Subtract from float keys, shape (kv_heads, tokens, head_dim), their mean over tokens, per head and dimension."""
    wide = np.asarray(k, np.float64)
    return (wide - wide.mean(axis=-2, keepdims=True)).astype(np.float32)


def hadamard(size: int) -> NDArray[np.float64]:
    """Orthonormal Hadamard matrix of Sylvester's construction, shape (size, size); it is its own inverse.

    Raises :class:`LatteError` unless ``size`` is a power of two.
    """
    if size < 1 or size & (size - 1):
        raise LatteError(f"conditioning 'rotate' needs a head_dim that is a power of two, not {size}")
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix / np.sqrt(size)


def rotate(x: Array) -> NDArray[np.float32]:
    """Multiply float queries or keys, shape (heads, tokens, head_dim), by the orthonormal Hadamard matrix."""
    return (np.asarray(x, np.float64) @ hadamard(np.shape(x)[-1])).astype(np.float32)


def condition(names: Iterable[str], q: Array, k: Array) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Apply the named methods to float queries (heads, n, head_dim) and keys (kv_heads, m, head_dim)."""
    chosen = check_conditioning(names)
    q, k = np.asarray(q, np.float32), np.asarray(k, np.float32)
    if "smooth_k" in chosen:
        k = smooth_k(k)
    if "rotate" in chosen:
        q, k = rotate(q), rotate(k)
    return q, k
