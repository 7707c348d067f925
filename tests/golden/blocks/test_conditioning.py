"""Conditioning keeps what attention computes: softmax weights and dot products."""

import numpy as np
import pytest

from golden.blocks.conditioning import condition, hadamard, rotate, smooth_k
from latte_hw.config.errors import LatteError
from latte_hw.config.thresholds import check_conditioning


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def _softmax(q: np.ndarray, k: np.ndarray) -> np.ndarray:
    logits = q.astype(np.float64) @ np.swapaxes(k.astype(np.float64), 1, 2)
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    return weights / weights.sum(axis=2, keepdims=True)


@pytest.mark.parametrize("names", [("smooth_k",), ("rotate",), ("rotate", "smooth_k")])
def test_attention_weights_do_not_change(names: tuple[str, ...]) -> None:
    q, k = _random(2, 5, 16), _random(2, 7, 16) + np.float32(3)
    new_q, new_k = condition(names, q, k)
    assert np.abs(new_k - k).max() > 0.1
    np.testing.assert_allclose(_softmax(new_q, new_k), _softmax(q, k), atol=1e-4)


def test_smooth_k_leaves_a_zero_mean_per_head_and_dimension() -> None:
    k = _random(2, 7, 4) + np.arange(4, dtype=np.float32)
    np.testing.assert_allclose(smooth_k(k).mean(axis=1), np.zeros((2, 4)), atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 64])
def test_hadamard_is_orthonormal_with_equal_magnitudes(size: int) -> None:
    matrix = hadamard(size)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(size), atol=1e-12)
    np.testing.assert_allclose(np.abs(matrix), size**-0.5)


def test_rotate_spreads_an_outlier() -> None:
    x = np.zeros((1, 1, 16), np.float32)
    x[0, 0, 3] = 4
    np.testing.assert_array_equal(np.abs(rotate(x)), np.ones((1, 1, 16)))


@pytest.mark.parametrize("size", [12, 0])
def test_rotate_needs_a_power_of_two(size: int) -> None:
    with pytest.raises(LatteError, match=f"'rotate' needs a head_dim that is a power of two, not {size}"):
        hadamard(size)


def test_unknown_name() -> None:
    with pytest.raises(LatteError, match="conditioning must be among smooth_k, rotate, not 'whiten'"):
        check_conditioning(["rotate", "whiten"])
