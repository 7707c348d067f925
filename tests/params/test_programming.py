"""The formulas that pages, RDL, headers and JSON print: evaluated as they are written, they give the registers."""

import math
from functools import partial
from typing import Any

import numpy as np
import pytest

from latte_hw.config import LatteConfig
from latte_hw.config.errors import LatteError
from latte_hw.params import HeadParams
from latte_hw.params.programming import Programming

CONFIGURATIONS = {
    "default": LatteConfig(),
    "small": LatteConfig(head_dim=12, max_keys=16, prob_bits=4, msb_bits=3),
    "static": LatteConfig(rule="static", split="truncate", msb_bits=2, prob_bits=16),
    "whole": LatteConfig(msb_bits=8, head_dim=128, out_fraction_bits=5),
}
NAMES = {"sqrt": math.sqrt, "floor": math.floor, "log2": math.log2, "e": math.e, "min": min, "max": max, "round": round}


@pytest.fixture(params=CONFIGURATIONS)
def programming(request: pytest.FixtureRequest) -> Programming:
    return Programming(HeadParams(CONFIGURATIONS[request.param]))


def value(formula: str, **quantities: Any) -> Any:
    """A formula as Python reads it."""
    return eval(formula, {"__builtins__": {}}, NAMES | quantities)


def draw(count: int) -> list[tuple[float, float, float]]:
    """τ and steps of many sizes, beyond what the registers hold."""
    rng = np.random.default_rng(1)
    rows = np.exp(rng.uniform(-12, 12, (count, 3))).astype(np.float32)
    return [tuple(row) for row in rows.tolist()]


def test_the_threshold_is_that_of_its_formula(programming: Programming) -> None:
    params, seen = programming.params, set()
    signs = (1, -1) if params.widths.threshold_range[0] < 0 else (1,)
    for tau, scale_q, scale_k in draw(2000):
        for sign in signs:
            given = {"tau": sign * tau, "scale_q": scale_q, "scale_k": scale_k}
            got = params.threshold_register(**given)
            assert value(programming.threshold_formula, **given) == got
            step = value(programming.estimate_step, **given)
            if params.widths.threshold_range[0] < got < params.widths.threshold_range[1]:
                assert got * step <= sign * tau * (1 + 1e-12)
                assert (got + 1) * step > sign * tau * (1 - 1e-12)
            seen.add(got)
    assert set(params.widths.threshold_range) <= seen
    assert len(seen) > 50


def test_the_scale_is_that_of_its_formulas(programming: Programming) -> None:
    params, ends = programming.params, set()
    rng = np.random.default_rng(2)
    for scale_q, scale_k in np.exp2(rng.uniform(-45, 15, (3000, 2))).tolist():
        x = value(programming.exponent_formula, scale_q=scale_q, scale_k=scale_k)
        shift = value(programming.shift_formula, x=x)
        mantissa = value(programming.mantissa_formula, x=x, shift=shift)
        if mantissa == 65536:
            mantissa, shift = 32768, shift - 1
        if shift < 0:
            mantissa, shift = 65535, 0
        if shift > 63:
            mantissa, shift = 0, 0
        assert params.softmax_scale_register(scale_q, scale_k) == (mantissa, shift)
        ends.add((mantissa, shift) if (mantissa, shift) in ((65535, 0), (0, 0)) else "between")
    assert len(ends) == 3


def test_the_exponent_is_that_of_the_real_softmax(programming: Programming) -> None:
    """2 to the minus `distance * mantissa / 2**(shift + 1)` with so many fraction bits is e to the minus logits."""
    params, given = programming.params, programming.example
    distance = 1000
    exponent = distance * given.mantissa / 2 ** (given.shift + 1) / 2**params.widths.exp_fraction_bits
    logits = distance * given.scale_q * given.scale_k / math.sqrt(params.config.head_dim)
    assert 2**-exponent == pytest.approx(math.exp(-logits), rel=1e-4)


def test_the_example_is_worked_out() -> None:
    """By hand: 4 logits in steps of 0.05 · 0.04 · 256 / 8 = 0.064 are 62.5; 2 · 0.00025 · 1.442695 · 1024 = 0.738660,
    which is 48408.8 / 2^16."""
    given = Programming(HeadParams(LatteConfig())).example
    assert (given.tau, given.scale_q, given.scale_k) == (4.0, 0.05, 0.04)
    assert (given.threshold, given.mantissa, given.shift) == (62, 48409, 16)


def test_elements(programming: Programming) -> None:
    q, k, v = programming.element_ranges.values()
    assert q == k == (-128, programming.params.widths.quant_max)
    assert v == (-128, 127)


def test_steps_whose_product_is_great_saturate() -> None:
    params = HeadParams(LatteConfig())
    assert params.threshold_register(1.0, 1e38, 1e38) == 0
    assert params.softmax_scale_register(1e38, 1e38) == (65535, 0)


@pytest.mark.parametrize("scales", [(1e-300, 1e-300), (1e-200, 1e-124)])
def test_steps_whose_product_is_0_are_refused(scales: tuple[float, float]) -> None:
    for registers in (
        partial(HeadParams(LatteConfig()).threshold_register, 1.0),
        HeadParams(LatteConfig()).softmax_scale_register,
    ):
        with pytest.raises(LatteError, match="scale_q \\* scale_k must be above 0, not "):
            registers(*scales)
