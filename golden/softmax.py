"""Softmax weights of kept keys: base 2, fixed point, relative to the row's best kept score, not normalised.

For a kept key at distance ``delta = best - score >= 0`` and the head's registers (m, s), from
:meth:`latte_hw.params.HeadParams.softmax_scale_register`:

* ``t = (((delta·m) >> s) + 1) >> 1``, saturated to ``exp_bits`` bits: the base-2 exponent with
  f = ``exp_fraction_bits`` fraction bits, rounded half up;
* ``w = exp_table[t mod 2^f] >> (t >> f)``: ``prob_max · 2^-t`` with ``EXP_GUARD_BITS`` more bits, truncated;
* ``prob = (w + 2^(EXP_GUARD_BITS - 1)) >> EXP_GUARD_BITS``: rounded half up.

The best key weighs ``prob_max``, a dropped key 0, and so may a kept key far from the best.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from golden.arith import Array, Int64, round_half_up_shift
from golden.threshold_filter import Mask
from latte_hw.params import EXP_GUARD_BITS, HeadParams


def exponent(delta: Array, mantissa: int, shift: int, params: HeadParams) -> Int64:
    """Base-2 exponent t of a score distance ``delta`` (any shape, integers >= 0), ``exp_bits`` wide, unsigned."""
    t = round_half_up_shift(np.asarray(delta, np.int64) * mantissa, shift + 1)
    return np.minimum(t, 2**params.exp_bits - 1)


@lru_cache
def weight_table(params: HeadParams) -> NDArray[np.uint16]:
    """The weight of every exponent t, shape (2^exp_bits,), unsigned, ``prob_bits`` wide."""
    t = np.arange(2**params.exp_bits)
    fraction = t & (2**params.exp_fraction_bits - 1)
    w = np.array(params.exp_table, np.int64)[fraction] >> (t >> params.exp_fraction_bits)
    table = round_half_up_shift(w, EXP_GUARD_BITS).astype(np.uint16)
    table.setflags(write=False)  # one array serves every caller
    return table


def weights(score: Array, keep: Mask, mantissa: int, shift: int, params: HeadParams) -> NDArray[np.uint16]:
    """Unnormalised weights, shape (n_queries, n_keys), from whole-number scores and kept keys of that shape."""
    prob = np.zeros(keep.shape, np.uint16)
    kept_per_row = np.count_nonzero(keep, axis=1)
    kept = np.flatnonzero(keep)  # work on kept keys only: most are dropped
    if kept.size == 0:
        return prob
    kept_scores = score.ravel()[kept]
    rows = kept_per_row > 0
    first = np.cumsum(kept_per_row) - kept_per_row
    best = np.maximum.reduceat(kept_scores, first[rows])
    delta = np.repeat(best, kept_per_row[rows]) - kept_scores
    prob.ravel()[kept] = weight_table(params)[exponent(delta, mantissa, shift, params)]
    return prob
