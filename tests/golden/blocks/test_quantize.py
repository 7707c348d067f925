"""Quantisation, against float64 arithmetic on values that float32 divides exactly, and by its properties."""

import numpy as np
import pytest

from golden.blocks.quantize import check_int8_range, dequantize, head_scales, quantize, saturate
from latte_hw.config import LatteConfig
from latte_hw.config.errors import LatteError
from latte_hw.params import HeadParams

BALANCED = HeadParams(LatteConfig(split="balanced"))
TRUNCATE = HeadParams(LatteConfig(split="truncate"))


LIMITS = [(BALANCED, "q", 119), (BALANCED, "k", 119), (BALANCED, "v", 127), (TRUNCATE, "k", 127), (TRUNCATE, "v", 127)]


@pytest.mark.parametrize(("params", "tensor", "limit"), LIMITS)
def test_scale_is_per_head_and_maps_the_largest_magnitude_to_the_limit(
    params: HeadParams, tensor: str, limit: int
) -> None:
    x = np.zeros((2, 3, 4), np.float32)
    x[0, 1, 2], x[1, 0, 0] = 2.0 * limit, -0.5 * limit
    scales = head_scales(x, params, tensor=tensor)
    assert scales.tolist() == [2.0, 0.5]
    x8 = quantize(x, scales, params, tensor)
    assert (x8[0, 1, 2], x8[1, 0, 0]) == (limit, -limit)
    np.testing.assert_array_equal(dequantize(x8, scales), x)


def test_ties_round_to_even() -> None:
    x = np.array([[[0.5, 1.5, 2.5, -0.5, -1.5, -2.5]]], np.float32)
    assert quantize(x, np.ones(1), BALANCED).tolist() == [[[0, 2, 2, 0, -2, -2]]]


def test_given_scales_saturate() -> None:
    x = np.array([[[1000.0, -1000.0, 119.4, -128.4]]], np.float32)
    assert quantize(x, np.ones(1), BALANCED).tolist() == [[[119, -128, 119, -128]]]
    assert quantize(x, np.ones(1), TRUNCATE).tolist() == [[[127, -128, 119, -128]]]
    assert quantize(x, np.ones(1), BALANCED, "v").tolist() == [[[127, -128, 119, -128]]]


@pytest.mark.parametrize("value", [0.0, 1e-45])
def test_a_head_without_a_step_gets_one(value: float) -> None:
    x = np.full((1, 2, 2), value, np.float32)
    scales = head_scales(x, BALANCED)
    assert scales.tolist() == [1.0]
    assert not quantize(x, scales, BALANCED).any()


def test_error_is_at_most_half_a_step() -> None:
    x = np.random.default_rng(0).standard_normal((4, 50, 16)).astype(np.float32)
    scales = head_scales(x, BALANCED)
    error = np.abs(dequantize(quantize(x, scales, BALANCED), scales).astype(np.float64) - x)
    assert (error <= 0.50001 * scales[:, None, None]).all()
    assert error.max() > 0.4 * scales.min()


def test_int8_above_the_limit_is_named() -> None:
    x8 = np.array([-128, 119, 120], np.int8)
    check_int8_range("q", x8, TRUNCATE)
    check_int8_range("q", x8[:2], BALANCED)
    with pytest.raises(LatteError, match=r"q holds the int8 value 120, but with split=balanced and msb_bits=4 the "):
        check_int8_range("q", x8, BALANCED)
    with pytest.raises(LatteError, match=r"scale = max\|x\| / 119, or use split=truncate"):
        check_int8_range("q", x8, BALANCED)


@pytest.mark.parametrize("params", [BALANCED, TRUNCATE, HeadParams(LatteConfig(msb_bits=8))])
def test_what_the_hardware_saturates_is_reported(params: HeadParams) -> None:
    every = np.arange(-128, 128).astype(np.int8)
    for x in every:
        taken, beyond = saturate(np.array([0, x, 0], np.int8), params)
        assert taken.tolist() == [0, min(int(x), params.widths.quant_max), 0]
        assert beyond == (x > params.widths.quant_max)
    assert saturate(every[:-8], params)[1] is False
