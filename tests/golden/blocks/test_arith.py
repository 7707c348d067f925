"""Splits, exact products and rounding, against Python's own integers."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.blocks.arith import (
    dot_bound,
    exact_matmul,
    greatest_magnitude,
    join,
    round_half_up_divide,
    round_half_up_shift,
    split,
)
from latte_hw.config import LatteConfig
from latte_hw.params import HeadParams

SPLITS = [(bits, mode) for bits in range(2, 9) for mode in ("truncate", "balanced")]


@pytest.mark.parametrize(("msb_bits", "mode"), SPLITS)
def test_split_identity_and_ranges_for_every_value(msb_bits: int, mode: str) -> None:
    params = HeadParams(LatteConfig(msb_bits=msb_bits, split=mode))
    x8 = np.arange(-128, params.widths.quant_max + 1).astype(np.int8)
    high, low = split(x8, params)
    assert [
        (h << params.widths.low_bits) + lo for h, lo in zip(high.tolist(), low.tolist(), strict=True)
    ] == x8.tolist()
    assert (high.min(), high.max()) == params.widths.high_range
    assert (low.min(), low.max()) == params.widths.low_range
    np.testing.assert_array_equal(join(high, low, params), x8)


@pytest.mark.parametrize(("msb_bits", "mode"), SPLITS)
def test_split_identity_even_above_the_quantised_range(msb_bits: int, mode: str) -> None:
    params = HeadParams(LatteConfig(msb_bits=msb_bits, split=mode))
    x8 = np.arange(-128, 128).astype(np.int8)
    high, low = split(x8, params)
    assert ((high.astype(int) << params.widths.low_bits) + low).tolist() == x8.tolist()


def test_split_by_hand() -> None:
    values = np.array([-128, -9, -8, -1, 0, 7, 8, 119], np.int8)
    high, low = split(values, HeadParams(LatteConfig(split="balanced")))
    assert high.tolist() == [-8, -1, 0, 0, 0, 0, 1, 7]
    assert low.tolist() == [0, 7, -8, -1, 0, 7, -8, 7]
    high, low = split(values, HeadParams(LatteConfig(split="truncate")))
    assert high.tolist() == [-8, -1, -1, -1, 0, 0, 0, 7]
    assert low.tolist() == [0, 7, 8, 15, 0, 7, 8, 7]


def test_balanced_low_part_has_no_bias() -> None:
    params = HeadParams(LatteConfig(split="balanced"))
    _, low = split(np.arange(-128, 112).astype(np.int8), params)
    assert low.mean() == -0.5  # two's complement, against 7.5 with truncation


@given(st.integers(0, 2**32), st.sampled_from([(1, 2**24), (7, 2**25), (300, 2**52)]))
def test_exact_matmul_equals_int64(seed: int, case: tuple[int, int]) -> None:
    inner, bound = case
    limit = int((bound // inner) ** 0.5)
    rng = np.random.default_rng(seed)
    a = rng.integers(-limit, limit, (5, inner), endpoint=True)
    b = rng.integers(-limit, limit, (inner, 4), endpoint=True)
    a[0], b[:, 0] = limit, limit  # the bound itself
    product = exact_matmul(a, b, bound)
    assert product.dtype == (np.float32 if bound <= 2**24 else np.float64)
    assert product.astype(np.int64).tolist() == (a @ b).tolist()


def test_exact_matmul_needs_float64_just_above_the_float32_limit() -> None:
    a, b = np.array([[2**24, 1]]), np.array([[1], [1]])
    assert exact_matmul(a, b, 2**24 + 1).item() == 2**24 + 1


def test_exact_matmul_refuses_what_float64_cannot_hold() -> None:
    with pytest.raises(ValueError, match=r"a partial sum may reach 9007199254740993, beyond the 2\*\*53"):
        exact_matmul(np.ones((1, 1)), np.ones((1, 1)), 2**53 + 1)


def test_bounds() -> None:
    assert greatest_magnitude((-8, 7)) == 8
    assert greatest_magnitude((0, 15)) == 15
    assert dot_bound(64, (-8, 7), (0, 15)) == 64 * 8 * 15


@given(st.integers(-(2**62), 2**62), st.integers(1, 64))
def test_shift_rounds_half_up(x: int, bits: int) -> None:
    assert int(round_half_up_shift(np.int64(x), bits)) == floor(Fraction(x, 2**bits) + Fraction(1, 2))


@given(st.integers(-(2**50), 2**50), st.integers(1, 2**28))
def test_division_rounds_half_up(dividend: int, divisor: int) -> None:
    got = int(round_half_up_divide(np.int64(dividend), np.int64(divisor)))
    assert got == floor(Fraction(dividend, divisor) + Fraction(1, 2))


@given(st.integers(-(2**20), 2**20), st.integers(1, 2**20))
def test_division_at_and_beside_ties(quotient: int, half: int) -> None:
    divisor = 2 * half
    dividend = quotient * divisor + half  # exactly halfway
    assert int(round_half_up_divide(np.int64(dividend), np.int64(divisor))) == quotient + 1
    assert int(round_half_up_divide(np.int64(dividend - 1), np.int64(divisor))) == quotient


def test_rounding_by_hand() -> None:
    assert round_half_up_shift(np.array([1, 2, 3, -1, -3]), 1).tolist() == [1, 1, 2, 0, -1]
    assert round_half_up_divide(np.array([3, -3, 5, -5]), np.array([2, 2, 4, 4])).tolist() == [2, -1, 1, -1]
