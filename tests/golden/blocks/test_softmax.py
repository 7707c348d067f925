"""Fixed-point weights, against the formula in Python integers and real-valued softmax."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.blocks.softmax import exponent, guarded_table, weights
from latte_hw.config import LatteConfig
from latte_hw.params import EXP_GUARD_BITS, HeadParams

PROB_BITS = (4, 6, 8, 12, 16)


def reference(deltas: list[int], mantissa: int, shift: int, params: HeadParams) -> list[int]:
    """Weights of one row's kept keys, one after the other."""
    f = params.widths.exp_fraction_bits
    remainder, probs = 2 ** (EXP_GUARD_BITS - 1), []
    for delta in deltas:
        t = min((((delta * mantissa) >> shift) + 1) >> 1, 2**params.widths.exp_bits - 1)
        remainder += params.widths.exp_table[t & (2**f - 1)] >> (t >> f)
        probs.append(remainder >> EXP_GUARD_BITS)
        remainder &= 2**EXP_GUARD_BITS - 1
    return probs


@pytest.mark.parametrize("prob_bits", PROB_BITS)
@given(
    deltas=st.lists(st.integers(0, 2**22), min_size=1, max_size=20),
    mantissa=st.integers(0, 65535),
    shift=st.integers(0, 63),
    best=st.integers(-(2**20), 2**20),
)
def test_equals_the_formula(prob_bits: int, deltas: list[int], mantissa: int, shift: int, best: int) -> None:
    params = HeadParams(LatteConfig(prob_bits=prob_bits))
    deltas = [0, *deltas]
    score = np.array([[best - delta for delta in deltas]], np.int64)
    prob = weights(score, np.ones(score.shape, bool), mantissa, shift, params)
    assert prob.tolist() == [reference(deltas, mantissa, shift, params)]
    assert prob.max() == params.widths.prob_max


@pytest.mark.parametrize("prob_bits", PROB_BITS)
def test_weights_are_close_to_exponentials(prob_bits: int) -> None:
    params = HeadParams(LatteConfig(prob_bits=prob_bits))
    scale_q, scale_k = 0.031, 0.017
    delta = np.arange(0, 250_000, 37)
    mantissa, shift = params.softmax_scale_register(scale_q, scale_k)
    got = guarded_table(params)[exponent(delta, mantissa, shift, params)] / 2**EXP_GUARD_BITS
    ideal = params.widths.prob_max * np.exp(-delta * scale_q * scale_k / math.sqrt(64))
    step_of_exponent = params.widths.prob_max * math.log(2) * 2.0 ** -(params.widths.exp_fraction_bits + 1)
    assert np.abs(got - ideal).max() <= 2.0**-EXP_GUARD_BITS + 1.01 * step_of_exponent
    assert got[0] == params.widths.prob_max
    assert got[-1] == 0


@pytest.mark.parametrize("prob_bits", PROB_BITS)
def test_table_falls_from_the_greatest_weight_to_zero(prob_bits: int) -> None:
    params = HeadParams(LatteConfig(prob_bits=prob_bits))
    table = guarded_table(params).astype(int)
    assert table[0] == params.widths.prob_max << EXP_GUARD_BITS
    assert table[-1] == 0
    assert (np.diff(table) <= 0).all()


def test_rows_are_independent_and_dropped_keys_weigh_nothing() -> None:
    params = HeadParams(LatteConfig())
    score = np.array([[900, 0, -50], [5, 7, 9000], [0, 0, 0]])
    keep = np.array([[False, True, True], [True, True, False], [False, False, False]])
    mantissa, shift = params.softmax_scale_register(0.5, 0.5)
    prob = weights(score, keep, mantissa, shift, params)
    assert prob.tolist() == [
        [0, *reference([0, 50], mantissa, shift, params)],
        [*reference([2, 0], mantissa, shift, params), 0],
        [0, 0, 0],
    ]
    assert 0 < prob[0, 2] < prob[1, 0] < 255


def test_far_keys_are_not_lost_together() -> None:
    """100 keys of 0.3 steps each: rounded one by one they would all vanish; together they weigh 30."""
    params = HeadParams(LatteConfig())
    mantissa, shift = params.softmax_scale_register(0.5, 0.5)
    delta = round(math.log(params.widths.prob_max / 0.3) / (0.25 / math.sqrt(64)))
    score = np.array([[0] + [-delta] * 100])
    prob = weights(score, np.ones(score.shape, bool), mantissa, shift, params)
    assert prob[0, 0] == params.widths.prob_max
    assert set(prob[0, 1:].tolist()) == {0, 1}
    assert abs(int(prob[0, 1:].sum()) - 30) <= 100 * 2.0**-EXP_GUARD_BITS


def test_exponent_saturates() -> None:
    params = HeadParams(LatteConfig())
    assert exponent(np.array([2**22]), 65535, 0, params).tolist() == [2**params.widths.exp_bits - 1]


def test_a_shared_table_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        guarded_table(HeadParams(LatteConfig()))[0] = 1
