"""Weighted sums, against Python's fractions."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.blocks.weighted_sum import weighted_sum
from latte_hw.config import LatteConfig
from latte_hw.params import HeadParams


@given(st.integers(0, 2**32), st.sampled_from([4, 8, 16]), st.sampled_from([0, 3, 8]), st.integers(1, 40))
def test_equals_fractions(seed: int, prob_bits: int, fraction_bits: int, n_keys: int) -> None:
    params = HeadParams(LatteConfig(prob_bits=prob_bits, out_fraction_bits=fraction_bits))
    rng = np.random.default_rng(seed)
    prob = rng.integers(0, params.widths.prob_max, (3, n_keys), endpoint=True).astype(np.uint16)
    prob[:, 0] = params.widths.prob_max
    prob[1:, rng.random(n_keys) < 0.7] = 0
    v8 = rng.integers(-128, 127, (n_keys, 8), endpoint=True).astype(np.int8)
    out = weighted_sum(prob, v8, params)
    for i, row in enumerate(prob.tolist()):
        for d in range(8):
            total = sum(row)
            summed = sum(p * int(v) for p, v in zip(row, v8[:, d], strict=True))
            expected = floor(Fraction(summed * 2**fraction_bits, total) + Fraction(1, 2)) if total else 0
            assert out[i, d] == expected


@pytest.mark.parametrize(("values", "expected"), [([3, 4], 4), ([-3, -4], -3), ([-128, -127], -127), ([1, -2], 0)])
def test_ties_go_up(values: list[int], expected: int) -> None:
    prob = np.array([[200, 200]], np.uint16)
    out = weighted_sum(prob, np.array(values, np.int8)[:, None], HeadParams(LatteConfig()))
    assert out.tolist() == [[expected]]


@pytest.mark.parametrize("value", [-128, 127])
def test_limits_with_every_weight_at_its_greatest(value: int) -> None:
    params = HeadParams(LatteConfig(max_keys=4096, prob_bits=16, out_fraction_bits=8))
    prob = np.full((1, 4096), params.widths.prob_max, np.uint16)
    out = weighted_sum(prob, np.full((4096, 2), value, np.int8), params)
    assert out.tolist() == [[value * 256] * 2]


def test_a_row_without_weights_gives_zero() -> None:
    v8 = np.full((3, 4), 77, np.int8)
    assert weighted_sum(np.zeros((2, 3), np.uint16), v8, HeadParams(LatteConfig())).tolist() == [[0] * 4] * 2


def test_sums_beyond_float32_stay_exact() -> None:
    params = HeadParams(LatteConfig(max_keys=4096, prob_bits=16))
    prob = np.full((1, 2048), params.widths.prob_max, np.uint16)
    v8 = np.repeat(np.array([0, 1], np.int8), 1024)[:, None]
    assert params.widths.prob_max * 1024 > 2**24
    assert weighted_sum(prob, v8, params).item() == 1  # A = S / 2 exactly: a tie, up
    prob[0, -1] -= 1  # one unit less in 67 million: no tie any more
    assert weighted_sum(prob, v8, params).item() == 0
