"""Output of a query: the weighted mean of the values of its kept keys.

``S = Σ prob``, ``A[d] = Σ prob · v[d]``, ``out[d] = floor((2·A[d]·2^F + S) / (2·S))``: exact integer division, ties
toward +infinity, with F = ``out_fraction_bits``. A row without weights (no valid key) gives 0.
"""

import numpy as np
from numpy.typing import NDArray

from golden.blocks.arith import Array, exact_matmul, round_half_up_divide
from golden.blocks.quantize import INT8_MIN
from latte_hw.params import HeadParams


def weighted_sum(prob: Array, v8: Array, params: HeadParams) -> NDArray[np.int16]:
    """Outputs in steps of V's int8 step / 2^F, signed, ``out_bits`` wide, shape (n_queries, head_dim).

    ``prob`` has shape (n_queries, n_keys), unsigned; ``v8`` (n_keys, head_dim), int8. A weighted mean never leaves the
    range of V, so nothing saturates.
    """
    total = prob.sum(axis=1, dtype=np.int64)[:, None]  # (Nq, 1)
    bound = int(total.max(initial=0)) * -INT8_MIN
    summed = exact_matmul(prob, v8, bound).astype(np.int64) << params.config.out_fraction_bits
    return round_half_up_divide(summed, np.maximum(total, 1)).astype(np.int16)
