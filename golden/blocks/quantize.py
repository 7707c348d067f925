"""Quantisation of queries, keys and values to int8, one symmetric scale per head.

``x8 = clip(round_half_even(x / s), -128, hi)`` with ``s = max|x| / hi``, both in float32. The limit hi is ``quant_max``
for q and k, which are split, and 127 for v, which is not.
"""

import numpy as np
from numpy.typing import NDArray

from golden.blocks.arith import Array, Int8
from latte_hw.config import TOTAL_BITS
from latte_hw.config.errors import LatteError
from latte_hw.params import HeadParams

INT8_MIN = -(2 ** (TOTAL_BITS - 1))


def head_scales(x: Array, params: HeadParams, clip: float = 1.0, tensor: str = "q") -> NDArray[np.float32]:
    """One int8 step per head, in units of x: ``clip · max|x| / hi`` in float32, shape (heads,).

    ``x`` is float32 of shape (heads, tokens, head_dim), a ``tensor`` q, k or v. A head of zeros (or so small that the
    step would be zero) gets 1. With ``clip`` below 1 the greatest elements saturate and all others get finer
    steps: after `rotate`, a 4-bit estimate gains more by that than it loses.
    """
    greatest = np.maximum(x.max(axis=(1, 2)), -x.min(axis=(1, 2))).astype(np.float32)  # (heads,)
    scales = greatest * np.float32(clip) / np.float32(params.widths.greatest(tensor))
    return np.where(scales > 0, scales, np.float32(1)).astype(np.float32)


def quantize(x: Array, scales: Array, params: HeadParams, tensor: str = "q") -> Int8:
    """Round float32 x, a ``tensor`` q, k or v of shape (heads, tokens, head_dim), to int8 steps of ``scales``, shape
    (heads,); saturates."""
    steps = np.asarray(x, np.float32) / np.asarray(scales, np.float32)[:, None, None]
    np.rint(steps, out=steps)
    np.clip(steps, INT8_MIN, params.widths.greatest(tensor), out=steps)
    return steps.astype(np.int8)


def dequantize(x8: Array, scales: Array) -> NDArray[np.float32]:
    """The float32 values that int8 ``x8``, shape (heads, tokens, head_dim), stands for."""
    return x8.astype(np.float32) * np.asarray(scales, np.float32)[:, None, None]


def check_int8_range(name: str, x8: Int8, params: HeadParams) -> None:
    """Raise :class:`LatteError` when ``x8``, q or k, holds a value that the configured split cannot represent."""
    greatest = int(x8.max(initial=INT8_MIN))
    if greatest > params.widths.quant_max:
        raise LatteError(
            f"{name} holds the int8 value {greatest}, but with split={params.config.split.value} and "
            f"msb_bits={params.config.msb_bits} the greatest is {params.widths.quant_max}: quantise with "
            f"scale = max|x| / {params.widths.quant_max}, or use split=truncate"
        )


def saturate(x8: Int8, params: HeadParams) -> tuple[Int8, bool]:
    """q or k as the hardware takes them: elements above ``quant_max`` become ``quant_max``. And whether there is one:
    then a multi-head core sets the sticky error bit of that stream."""
    greatest = params.widths.quant_max
    return np.minimum(x8, np.int8(greatest)), bool((x8 > greatest).any())
