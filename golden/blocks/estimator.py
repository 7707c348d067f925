"""Estimate of every score from the high parts alone: ``e[i, j] = Σ_d q_h[i, d] · k_h[j, d]``."""

from golden.blocks.arith import Array, Float, dot_bound, exact_matmul
from latte_hw.params import HeadParams


def estimate(q_high: Array, k_high: Array, params: HeadParams) -> Float:
    """Exact estimates, whole numbers as floats, shape (n_queries, n_keys).

    ``q_high`` has shape (n_queries, head_dim), ``k_high`` (n_keys, head_dim), both in ``params.widths.high_range``.
    Signed, ``params.widths.estimate_bits`` wide, never saturated.
    """
    bound = dot_bound(params.config.head_dim, params.widths.high_range, params.widths.high_range)
    return exact_matmul(q_high, k_high.T, bound)
