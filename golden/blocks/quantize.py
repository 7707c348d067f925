"""Quantisation of queries, keys and values to int8, one symmetric scale per head.

``x8 = clip(round_half_even(x / s), -128, quant_max)`` with ``s = max|x| / quant_max``, both in float32.
"""

import numpy as np
from numpy.typing import NDArray

from golden.blocks.arith import Array, Int8
from latte_hw.config import TOTAL_BITS
from latte_hw.config.errors import LatteError
from latte_hw.params import HeadParams

INT8_MIN = -(2 ** (TOTAL_BITS - 1))


def head_scales(x: Array, params: HeadParams, clip: float = 1.0) -> NDArray[np.float32]:
    """One int8 step per head, in units of x: ``clip · max|x| / quant_max`` in float32, shape (heads,).

    ``x`` is float32 of shape (heads, tokens, head_dim). A head of zeros (or so small that the step would be zero)
    gets 1. With ``clip`` below 1 the greatest elements saturate and all others get finer steps: after `rotate`, a
    4-bit estimate gains more by that than it loses.
    """
    greatest = np.maximum(x.max(axis=(1, 2)), -x.min(axis=(1, 2))).astype(np.float32)  # (heads,)
    scales = greatest * np.float32(clip) / np.float32(params.widths.quant_max)
    return np.where(scales > 0, scales, np.float32(1)).astype(np.float32)


def quantize(x: Array, scales: Array, params: HeadParams) -> Int8:
    """Round float32 x, shape (heads, tokens, head_dim), to int8 steps of ``scales``, shape (heads,); saturates."""
    steps = np.asarray(x, np.float32) / np.asarray(scales, np.float32)[:, None, None]
    np.rint(steps, out=steps)
    np.clip(steps, INT8_MIN, params.widths.quant_max, out=steps)
    return steps.astype(np.int8)


def dequantize(x8: Array, scales: Array) -> NDArray[np.float32]:
    """The float32 values that int8 ``x8``, shape (heads, tokens, head_dim), stands for."""
    return x8.astype(np.float32) * np.asarray(scales, np.float32)[:, None, None]


def check_int8_range(name: str, x8: Int8, params: HeadParams) -> None:
    """Raise :class:`LatteError` when ``x8`` holds a value that the configured split cannot represent."""
    greatest = int(x8.max(initial=INT8_MIN))
    if greatest > params.widths.quant_max:
        raise LatteError(
            f"{name} holds the int8 value {greatest}, but with split={params.config.split.value} and "
            f"msb_bits={params.config.msb_bits} the greatest is {params.widths.quant_max}: quantise with "
            f"scale = max|x| / {params.widths.quant_max}, or use split=truncate"
        )
