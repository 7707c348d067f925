"""Trained thresholds in hardware: a layer of SmolLM2-135M, as `latte evaluate --bit-exact` met it, in Verilog."""

from collections.abc import Callable
from pathlib import Path

import pytest

from golden.attention import attention
from golden.files.inputs import load_inputs
from sim.head.collect import Arrays

ROOT = Path(__file__).parents[3]
LAYER = 12
TRACE = ROOT / "traces" / "smollm2-135m-layer12.npz"
THRESHOLDS = ROOT / "thresholds" / "smollm2-135m-window.json"


@pytest.mark.parametrize("flow", [pytest.param("free", marks=pytest.mark.slow), "both"])
def test_a_trained_layer_equals_golden_in_hardware(flow: str, equal_to_golden: Callable[..., Arrays]):
    tensors, config = load_inputs(TRACE, THRESHOLDS, LAYER, None, None, None)
    got = equal_to_golden(config, tensors, flow=flow)
    seen, _, kept = got["counters_total"]
    assert got["out"].shape == (9, 256, 64)
    assert 0.05 < kept / seen < 0.3, "trained for 1024 tokens; a shorter window keeps a larger share"


def test_the_registers_follow_from_the_trained_thresholds():
    """The integer thresholds that evaluation used are those of the file, and another layer's would not do."""
    ours, config = load_inputs(TRACE, THRESHOLDS, LAYER, None, None, None)
    other, _ = load_inputs(TRACE, THRESHOLDS, LAYER + 1, None, None, None)
    assert (ours.tau_int > 0).all()
    assert (ours.tau_int != other.tau_int).any()
    assert attention(ours, config)["counters"].tolist() != attention(other, config)["counters"].tolist()
