"""Scores, against the formula of the design in int64, and the identity of `exact` reuse."""

import numpy as np
import pytest

from golden.blocks.arith import split
from golden.blocks.estimator import estimate
from golden.blocks.reuse_datapath import key_operand, query_operand, scores
from latte_hw.config import LatteConfig
from latte_hw.params import HeadParams


def _scores(q8: np.ndarray, k8: np.ndarray, keep: np.ndarray, params: HeadParams) -> np.ndarray:
    (qh, ql), (kh, kl) = split(q8, params), split(k8, params)
    e = estimate(qh, kh, params)
    return scores(e, query_operand(qh, ql, params), key_operand(kh, kl, params), keep, params).astype(np.int64)


def _random(params: HeadParams, rows: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(-128, params.widths.quant_max, (rows, params.config.head_dim), endpoint=True).astype(np.int8)


@pytest.mark.parametrize("split_mode", ["truncate", "balanced"])
@pytest.mark.parametrize("msb_bits", range(2, 9))
def test_three_term_formula_and_exact_identity(split_mode: str, msb_bits: int) -> None:
    config = LatteConfig(head_dim=128, msb_bits=msb_bits, split=split_mode)
    params = HeadParams(config)
    q8, k8 = _random(params, 9, 1), _random(params, 11, 2)
    everything = np.ones((9, 11), bool)
    shift = params.widths.low_bits
    qh, ql, kh, kl = (x.astype(np.int64) for x in (*split(q8, params), *split(k8, params)))
    expected = ((qh @ kh.T) << 2 * shift) + ((qh @ kl.T + ql @ kh.T) << shift)
    np.testing.assert_array_equal(_scores(q8, k8, everything, params), expected)
    exact = _scores(q8, k8, everything, HeadParams(config.replace(reuse="exact")))
    np.testing.assert_array_equal(exact, q8.astype(np.int64) @ k8.T.astype(np.int64))


@pytest.mark.parametrize("reuse", ["three_term", "exact"])
def test_extreme_elements_stay_exact_and_in_range(reuse: str) -> None:
    params = HeadParams(LatteConfig(head_dim=128, split="truncate", reuse=reuse))
    x8 = np.array([[-128] * 128, [127] * 128, [-113] * 128, [15] * 128], np.int8)
    got = _scores(x8, x8, np.ones((4, 4), bool), params)
    high, low = (part.astype(np.int64) for part in split(x8, params))
    expected = x8.astype(np.int64) @ x8.T.astype(np.int64) - (0 if reuse == "exact" else low @ low.T)
    np.testing.assert_array_equal(got, expected)
    assert params.widths.score_range[0] <= got.min()
    assert got.max() <= params.widths.score_range[1]
    assert high.min() == -8


@pytest.mark.parametrize("msb_bits", [4, 8])
def test_dropped_keys_score_zero(msb_bits: int) -> None:
    params = HeadParams(LatteConfig(msb_bits=msb_bits))
    q8, k8 = _random(params, 5, 3), _random(params, 6, 4)
    keep = np.random.default_rng(5).random((5, 6)) < 0.5
    everything = _scores(q8, k8, np.ones((5, 6), bool), params)
    assert (everything != 0).all()
    np.testing.assert_array_equal(_scores(q8, k8, keep, params), everything * keep)
