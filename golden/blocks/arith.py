"""Integer arithmetic that every block shares: the split of an element, exact products, rounding.

Functions are named by how they round. All of them are exact; none saturates.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from latte_hw.config import Split
from latte_hw.params import HeadParams, Range

Array = NDArray[Any]
Int8 = NDArray[np.int8]
Int64 = NDArray[np.int64]
Float = NDArray[np.float32] | NDArray[np.float64]


def split(x8: Array, params: HeadParams) -> tuple[Int8, Int8]:
    """Cut int8 elements (any shape) into their high part (``msb_bits``, signed) and low part (``low_bits``).

    ``x8 == (high << low_bits) + low``. With `truncate` the low part is unsigned; with `balanced` it is signed, and x8
    must not exceed ``params.widths.quant_max`` (see :func:`golden.blocks.quantize.check_int8_range`). At ``low_bits =
    0`` the low part is zero.
    """
    shift = params.widths.low_bits
    if shift == 0:
        return np.asarray(x8, np.int8), np.zeros(np.shape(x8), np.int8)
    wide = np.asarray(x8, np.int16)
    bias = 1 << (shift - 1) if params.config.split is Split.BALANCED else 0
    high = (wide + np.int16(bias)) >> shift
    low = wide - (high << shift)
    return high.astype(np.int8), low.astype(np.int8)


def join(high: Array, low: Array, params: HeadParams) -> Int8:
    """The int8 elements that :func:`split` cut into ``high`` and ``low``."""
    return ((np.asarray(high, np.int16) << params.widths.low_bits) + low).astype(np.int8)


def greatest_magnitude(values: Range) -> int:
    """Largest absolute value of an inclusive range."""
    return max(abs(values[0]), abs(values[1]))


def dot_bound(terms: int, a: Range, b: Range) -> int:
    """Largest absolute value of any partial sum, in any order, of ``terms`` products a·b."""
    return terms * greatest_magnitude(a) * greatest_magnitude(b)


def exact_matmul(a: Array, b: Array, bound: int) -> Float:
    """Integer matrix product through floating-point BLAS, exact because no partial sum exceeds ``bound``.

    Args:
        a: integers, shape (..., n, d), of any dtype.
        b: integers, shape (..., d, m).
        bound: largest absolute value that a partial sum can reach, in any order of summation.

    Returns:
        Whole numbers, shape (..., n, m), as float32 where ``bound <= 2^24``, otherwise float64. A floating-point
        number of p significand bits holds every integer up to 2^p, so that no addition ever rounds.

    Raises:
        ValueError: when ``bound`` exceeds 2^53.
    """
    if bound > 2**53:
        raise ValueError(f"a partial sum may reach {bound}, beyond the 2**53 that float64 holds exactly")
    dtype = np.float32 if bound <= 2**24 else np.float64
    product: Float = np.matmul(a.astype(dtype, copy=False), b.astype(dtype, copy=False))
    return product


def round_half_up_shift(x: Array, bits: int) -> Int64:
    """``floor(x / 2^bits + 1/2)`` for 1 <= bits <= 64: ties go toward +infinity.

    Examples with bits = 1: 1 -> 1, 2 -> 1, 3 -> 2, -1 -> 0, -3 -> -1.
    """
    return ((np.asarray(x, np.int64) >> (bits - 1)) + 1) >> 1


def round_half_up_divide(dividend: Array, divisor: Array) -> Int64:
    """``floor(dividend / divisor + 1/2)`` for divisors above 0: ties go toward +infinity. Broadcasts.

    Examples: 3/2 -> 2, -3/2 -> -1, 5/4 -> 1, -5/4 -> -1.
    """
    doubled = 2 * np.asarray(divisor, np.int64)
    quotient: Int64 = (2 * np.asarray(dividend, np.int64) + divisor) // doubled
    return quotient
