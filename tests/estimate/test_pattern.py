"""Patterns of kept keys: made up to a ratio, and taken from results of the golden model."""

from pathlib import Path

import numpy as np
import pytest

from golden.attention import attention
from golden.files.npz import save_npz
from golden.files.stimuli import random_trace
from golden.files.tensors import from_arrays
from latte_hw.config import LatteConfig, Rule
from latte_hw.config.errors import LatteError
from latte_hw.estimate.pattern import from_estimates, of_results, typical, visible_keys

CONFIG = LatteConfig(head_dim=8, max_keys=64, keys_per_cycle=4, causal=True, heads=4)


@pytest.mark.parametrize("rule", Rule)
@pytest.mark.parametrize("keep", [0.02, 0.15, 0.5, 1])
def test_a_typical_pattern_keeps_the_ratio(rule: Rule, keep: float):
    pattern = typical(CONFIG.replace(rule=rule), 64, 64, keep)
    assert pattern.valid.tolist() == list(range(1, 65))
    assert pattern.keep_ratio == pytest.approx(keep, abs=0.02)
    assert (pattern.survives >= (pattern.kept > 0)).all(), "what is kept must have survived"
    again = typical(CONFIG.replace(rule=rule), 64, 64, keep)
    assert (again.kept == pattern.kept).all()


def test_the_early_drop_by_hand():
    """Threshold 2; beats of two keys. The best so far is 1, then 5, then 5: key 0 survives and is not kept."""
    config = CONFIG.replace(keys_per_cycle=2, causal=False)
    pattern = from_estimates(np.array([[1, -9, 5, 4, 2, 3]]), 2, config, np.array([6]))
    assert pattern.survives.tolist() == [[True, True, True]]
    assert pattern.kept.tolist() == [[0, 2, 1]]
    late = from_estimates(np.array([[1, -9, 5, 4, 2, 2]]), 2, config, np.array([6]))
    assert late.survives.tolist() == [[True, True, False]]
    unseen = from_estimates(np.array([[1, -9, 5, 4, 2, 3]]), 2, config, np.array([0]))
    assert not unseen.survives.any()
    assert not unseen.kept.any()


@pytest.mark.parametrize("queries", [7, 40])
def test_results_of_the_golden_model(queries: int, tmp_path: Path):
    """The survivors' number is that of the golden model, whose causal offset is found from the counters."""
    tensors = from_arrays(random_trace(CONFIG, 1, 4, 2, queries, 30), CONFIG)
    results = attention(tensors, CONFIG)
    save_npz(tmp_path / "golden.files.npz", results)
    patterns = of_results(tmp_path / "golden.files.npz", CONFIG)
    assert [pattern.release for pattern in patterns] == [False, True, False, True]
    for pattern, counters, keep in zip(patterns, results["counters"], results["keep"], strict=True):
        assert pattern.valid_keys == counters[0]
        assert pattern.kept_keys == counters[2]
        assert (pattern.kept.sum(axis=1) == keep.sum(axis=1)).all()
        assert pattern.valid.tolist() == visible_keys(CONFIG, queries, 30).tolist()


def test_files_that_do_not_fit(tmp_path: Path):
    with pytest.raises(LatteError, match=r"none\.npz cannot be read"):
        of_results(tmp_path / "none.npz", CONFIG)
    np.savez(tmp_path / "bare.npz", q=np.zeros(3))
    with pytest.raises(LatteError, match=r"bare\.npz has no estimate: give a file that latte golden has written"):
        of_results(tmp_path / "bare.npz", CONFIG)
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(LatteError, match=r"results file .*text\.npz is not a readable \.npz archive"):
        of_results(tmp_path / "text.npz", CONFIG)
    tensors = from_arrays(random_trace(CONFIG, 1, 1, 1, 8, 40), CONFIG)
    results = attention(tensors, CONFIG)
    save_npz(tmp_path / "golden.files.npz", results)
    for change, sentence in (
        ({"tau_int": np.zeros(2, int)}, "holds no results of attention"),
        ({"keep": np.zeros(3, bool)}, "holds no results of attention"),
        ({"estimate": results["estimate"].astype(np.float32)}, "holds no results of attention"),
        ({"k8": np.zeros((2, 40, 8), np.int8)}, r"has keep for \(1, 40\) heads and keys, but k8 for \(2, 40\)"),
    ):
        save_npz(tmp_path / "changed.npz", results | change)
        with pytest.raises(LatteError, match=sentence):
            of_results(tmp_path / "changed.npz", CONFIG)
    save_npz(tmp_path / "changed.npz", results | {"prob": np.array("not looked at")})
    assert len(of_results(tmp_path / "changed.npz", CONFIG)) == 1
    with pytest.raises(LatteError, match="has 40 keys, more than the 32 of the configuration"):
        of_results(tmp_path / "golden.files.npz", CONFIG.replace(max_keys=32))
    with pytest.raises(LatteError, match="keeps other keys than this configuration would"):
        of_results(tmp_path / "golden.files.npz", CONFIG.replace(causal=False))


@pytest.mark.parametrize("keep", [0, -0.5, 1.01])
def test_a_ratio_that_is_none(keep: float):
    with pytest.raises(LatteError, match=f"the keep ratio must be above 0 and at most 1, not {keep:g}"):
        typical(CONFIG, 8, 8, keep)
