"""The benchmark's own figures. How fast the model is on a quiet machine is `make bench`'s to say."""

import pytest

from golden.analysis import benchmark


def test_a_long_context_stays_far_below_a_gibibyte() -> None:
    assert benchmark.peak_memory_mib() < 600


def test_speed_stays_near_torch() -> None:
    pytest.importorskip("torch", reason="the benchmark compares with PyTorch")
    for _ in range(4):  # other tests share the cores, and torch and the golden model do not suffer alike
        figures = benchmark.measure(repeats=5)
        if figures["ratio"] <= 10:
            break
    assert 0.1 < figures["keep_ratio"] < 0.2
    assert figures["ratio"] == pytest.approx(figures["golden_ms"] / figures["torch_ms"], rel=0.02)
    assert figures["ratio"] <= 10
