"""The 8-bit score of a kept key: the estimate, completed with the products that it left out.

``score = (e << 2L) + (c << L)`` with ``c = Σ_d (q_h·k_l + q_l·k_h)`` for `three_term` reuse; `exact` adds
``Σ_d q_l·k_l``, and the score then equals the int8 dot product. The estimate is reused, never recomputed. What is
added is one product of inner size 2·head_dim: ``[q_h·2^L | q_l] · [k_l | k_h·2^L (+ k_l)]``.
"""

import numpy as np
from numpy.typing import NDArray

from golden.blocks.arith import Array, Float, dot_bound, exact_matmul
from golden.blocks.threshold_filter import Mask
from latte_hw.config import TOTAL_BITS, Reuse
from latte_hw.params import HeadParams


def query_operand(high: Array, low: Array, params: HeadParams) -> NDArray[np.float32]:
    """``[q_h·2^L | q_l]``, shape (n_queries, 2·head_dim), from the parts of q, shape (n_queries, head_dim)."""
    return np.concatenate([high * np.float32(1 << params.widths.low_bits), low], axis=1, dtype=np.float32)


def key_operand(high: Array, low: Array, params: HeadParams) -> NDArray[np.float32]:
    """``[k_l | k_h·2^L]``, with ``+ k_l`` for `exact` reuse, shape (n_keys, 2·head_dim)."""
    shifted = high * np.float32(1 << params.widths.low_bits)
    if params.config.reuse is Reuse.EXACT:
        shifted = shifted + low
    return np.concatenate([low, shifted], axis=1, dtype=np.float32)


def scores(estimate: Float, q_operand: Array, k_operand: Array, keep: Mask, params: HeadParams) -> Float:
    """Scores of kept keys, whole numbers as floats, 0 where dropped; shape (n_queries, n_keys).

    Signed, ``params.widths.score_bits`` wide. With ``low_bits = 0`` the score is the estimate.
    """
    if params.widths.low_bits == 0:
        return np.where(keep, estimate, estimate.dtype.type(0))
    limits = (-(2 ** (TOTAL_BITS - 1)), 2 ** (TOTAL_BITS - 1) - 1)  # of an element, and of each part with its weight
    bound = dot_bound(2 * params.config.head_dim, limits, limits)
    completed = exact_matmul(q_operand, k_operand.T, bound)
    completed += estimate * estimate.dtype.type(1 << 2 * params.widths.low_bits)
    completed *= keep
    return completed
