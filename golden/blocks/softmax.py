"""Softmax weights of kept keys: base 2, fixed point, relative to the row's best kept score, not normalised.

For a kept key at distance ``delta = best - score >= 0`` and the head's registers (m, s), from
:meth:`latte_hw.params.HeadParams.softmax_scale_register`:

* ``t = (((delta·m) >> s) + 1) >> 1``, saturated to ``exp_bits`` bits: the base-2 exponent with
  f = ``exp_fraction_bits`` fraction bits, rounded half up;
* ``w = exp_table[t mod 2^f] >> (t >> f)``: ``prob_max · 2^-t`` with G = ``EXP_GUARD_BITS`` more bits, truncated;
* ``prob = (r + w) >> G``, and ``r = (r + w) mod 2^G`` goes on to the row's next kept key, in the order of the keys;
  it starts at ``2^(G-1)``.

The remainder r passes on what rounding took or gave, so that the weights of a row add up to the rounded sum of its w:
many far keys, each below half a step, are not lost together. In closed form, with ``W_i = 2^(G-1) + w_0 + … + w_i``,
``prob_i = (W_i >> G) - (W_(i-1) >> G)``. The best key always weighs ``prob_max``, a dropped key 0.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from golden.blocks.arith import Array, Int64, round_half_up_shift
from golden.blocks.threshold_filter import Mask
from latte_hw.params import EXP_GUARD_BITS, HeadParams


def exponent(delta: Array, mantissa: int, shift: int, params: HeadParams) -> Int64:
    """Base-2 exponent t of a score distance ``delta`` (any shape, integers >= 0), ``exp_bits`` wide, unsigned."""
    t = round_half_up_shift(np.asarray(delta, np.int64) * mantissa, shift + 1)
    return np.minimum(t, 2**params.widths.exp_bits - 1)


@lru_cache
def guarded_table(params: HeadParams) -> NDArray[np.int64]:
    """``w`` of every exponent t, shape (2^exp_bits,), unsigned, ``prob_bits + EXP_GUARD_BITS`` wide."""
    t = np.arange(2**params.widths.exp_bits)
    fraction = t & (2**params.widths.exp_fraction_bits - 1)
    table: NDArray[np.int64] = np.array(params.widths.exp_table, np.int64)[fraction] >> (
        t >> params.widths.exp_fraction_bits
    )
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
    counts = kept_per_row[rows]
    first = (np.cumsum(kept_per_row) - kept_per_row)[rows]  # index of each row's first kept key
    best = np.maximum.reduceat(kept_scores, first)
    delta = np.repeat(best, counts) - kept_scores
    guarded = guarded_table(params)[exponent(delta, mantissa, shift, params)]
    prob.ravel()[kept] = _round_with_remainder(guarded, first, counts)
    return prob


def _round_with_remainder(guarded: Int64, first: Array, counts: Array) -> Int64:
    """Drop the guard bits of each row's ``w``, passing remainders on; rows begin at ``first``, ``counts`` long."""
    total = np.cumsum(guarded)
    before_row = np.repeat(total[first] - guarded[first], counts)
    total += 2 ** (EXP_GUARD_BITS - 1) - before_row
    return (total >> EXP_GUARD_BITS) - ((total - guarded) >> EXP_GUARD_BITS)
