"""Where keys lie on chip: the high parts of K in P banks, so that one beat reads P neighbouring keys."""

import numpy as np

from golden.blocks.arith import Array
from latte_hw.params import HeadParams, ceil_div


def pad_keys(k: Array, params: HeadParams) -> Array:
    """Append zero keys to ``k``, shape (..., n_keys, head_dim), up to whole beats of ``keys_per_cycle`` keys."""
    lanes = params.config.keys_per_cycle
    missing = ceil_div(k.shape[-2], lanes) * lanes - k.shape[-2]
    if missing == 0:
        return k
    return np.concatenate([k, np.zeros((*k.shape[:-2], missing, k.shape[-1]), k.dtype)], axis=-2)


def banks(k_high: Array, params: HeadParams) -> Array:
    """Memory image of K's high parts, shape (..., P, beats, head_dim), from ``k_high`` (..., n_keys, head_dim).

    Key j lies in bank ``j % P`` at beat ``j // P``; what is left of the last beat is zero.
    """
    padded = pad_keys(k_high, params)
    lanes, dim = params.config.keys_per_cycle, padded.shape[-1]
    beats = padded.reshape(*padded.shape[:-2], -1, lanes, dim)  # (..., beats, P, D)
    return np.ascontiguousarray(np.swapaxes(beats, -3, -2))
