"""Keep ratio and bit operations, against the figures of the paper."""

import numpy as np
import pytest

from golden.analysis.metrics import bit_operations, keep_ratio, summarize
from golden.attention import attention
from golden.files.stimuli import random_trace
from golden.files.tensors import from_arrays
from latte_hw.config import LatteConfig
from latte_hw.config.presets import PRESETS
from latte_hw.params import HeadParams

PAPER = HeadParams(LatteConfig(msb_bits=4, reuse="three_term"))


def test_the_papers_deit_figure_is_exact() -> None:
    assert bit_operations(10_000, 1484, PAPER).change == pytest.approx(-0.7637, abs=5e-5)
    assert round(100 * bit_operations(10_000, 1484, PAPER).change, 2) == -76.37


def test_four_terms_cost_more() -> None:
    exact = HeadParams(LatteConfig(msb_bits=4, reuse="exact"))
    assert round(100 * bit_operations(10_000, 1484, exact).change, 1) == -74.5


def test_counts_by_hand() -> None:
    operations = bit_operations(100, 10, PAPER)
    assert operations.dense == 128 * 64 * 100
    assert operations.latte == 64 * (16 * 100 + (32 + 64) * 10)
    assert operations.formula == "(16·valid + 96·kept) / (128·valid), pairs of query and key"


def test_an_unmasked_baseline_is_said_in_the_formula() -> None:
    operations = bit_operations(100, 10, PAPER, dense_pairs=200)
    assert operations.dense == 128 * 64 * 200
    assert operations.formula == "(16·valid + 96·kept) / (128·all), pairs of query and key"
    assert round(100 * bit_operations(10_000, 1009, PAPER).change, 2) == -79.93
    assert round(100 * bit_operations(10_000, 1009, PAPER, dense_pairs=20_000).change, 2) == -89.97


def test_eight_bits_and_all_kept_equal_dense() -> None:
    full = HeadParams(LatteConfig(msb_bits=8))
    assert bit_operations(50, 50, full).change == 0


@pytest.mark.parametrize(("seen", "kept"), [(0, 0), (5, 6), (5, -1)])
def test_impossible_counts(seen: int, kept: int) -> None:
    with pytest.raises(ValueError, match=f"not {kept}, {seen} and {seen}"):
        bit_operations(seen, kept, PAPER)


def test_keep_ratio() -> None:
    assert keep_ratio(8, 2) == 0.25
    assert keep_ratio(0, 0) == 0.0


def test_summary_counts_valid_pairs_only() -> None:
    config = PRESETS["tiny"]
    results = attention(from_arrays(random_trace(config, 0, 2, 1, 4, 4), config), config)
    summary = summarize(results, HeadParams(config))
    assert summary["keys_seen"] == 2 * (1 + 2 + 3 + 4)
    assert summary["kept"] == np.count_nonzero(results["keep"])
    assert summary["keep_ratio"] == summary["kept"] / 20
    assert summary["bit_operation_change"] == bit_operations(20, summary["kept"], HeadParams(config)).change
