"""The memory image of K: where each key lies."""

import numpy as np
import pytest

from golden.blocks.kv_store import banks, pad_keys
from latte_hw.config import LatteConfig
from latte_hw.params import HeadParams


@pytest.mark.parametrize(("lanes", "n_keys"), [(1, 3), (2, 5), (4, 8), (8, 1), (16, 33)])
def test_every_key_lies_in_its_bank_and_beat(lanes: int, n_keys: int) -> None:
    params = HeadParams(LatteConfig(head_dim=8, max_keys=64, keys_per_cycle=lanes))
    k_high = np.random.default_rng(n_keys).integers(-8, 8, (2, n_keys, 8)).astype(np.int8)
    image = banks(k_high, params)
    beats = -(-n_keys // lanes)
    assert image.shape == (2, lanes, beats, 8)
    for j in range(lanes * beats):
        expected = k_high[:, j] if j < n_keys else np.zeros((2, 8), np.int8)
        np.testing.assert_array_equal(image[:, j % lanes, j // lanes], expected)


def test_whole_beats_are_not_copied() -> None:
    params = HeadParams(LatteConfig(keys_per_cycle=4))
    k = np.ones((8, 64), np.int8)
    assert pad_keys(k, params) is k
    assert pad_keys(k[:5], params).shape == (8, 64)
    assert not pad_keys(k[:5], params)[5:].any()
