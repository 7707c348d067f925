"""Estimates, against int64 products, at the ends of their range."""

import numpy as np
import pytest

from golden.blocks.arith import split
from golden.blocks.estimator import estimate
from latte_hw.config import LatteConfig
from latte_hw.params import HeadParams


@pytest.mark.parametrize("msb_bits", [2, 4, 5, 8])
@pytest.mark.parametrize("head_dim", [8, 128])
def test_equals_int64_product(msb_bits: int, head_dim: int) -> None:
    params = HeadParams(LatteConfig(head_dim=head_dim, msb_bits=msb_bits))
    rng = np.random.default_rng(msb_bits)
    q8 = rng.integers(-128, params.widths.quant_max, (20, head_dim), endpoint=True).astype(np.int8)
    k8 = rng.integers(-128, params.widths.quant_max, (30, head_dim), endpoint=True).astype(np.int8)
    q_high, k_high = split(q8, params)[0], split(k8, params)[0]
    e = estimate(q_high, k_high, params)
    np.testing.assert_array_equal(e.astype(np.int64), q_high.astype(np.int64) @ k_high.T.astype(np.int64))


@pytest.mark.parametrize("msb_bits", [2, 4, 8])
def test_reaches_its_range_and_no_more(msb_bits: int) -> None:
    params = HeadParams(LatteConfig(head_dim=128, msb_bits=msb_bits))
    low, high = params.widths.high_range
    rows = np.array([[low] * 128, [high] * 128], np.int8)
    e = estimate(rows, rows, params).astype(np.int64)
    assert (e.min(), e.max()) == params.widths.estimate_range


def test_eight_bits_give_the_exact_score() -> None:
    params = HeadParams(LatteConfig(msb_bits=8))
    x8 = np.random.default_rng(1).integers(-128, 127, (6, 64), endpoint=True).astype(np.int8)
    e = estimate(split(x8, params)[0], split(x8, params)[0], params)
    np.testing.assert_array_equal(e.astype(int), x8.astype(int) @ x8.T.astype(int))
