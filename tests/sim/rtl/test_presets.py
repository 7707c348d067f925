"""Every preset at its full size: random pairs and the committed trace, at every stage, under stalls.

pytest gives all tests of one preset to one worker (tests/conftest.py), so that it is emitted and built once.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from golden.files.stimuli import random_trace
from golden.files.tensors import TensorFile
from latte_hw.config import LatteConfig
from latte_hw.config.presets import PRESETS, preset
from sim.head.collect import Arrays

EqualToGolden = Callable[..., Arrays]
RealTrace = Callable[[LatteConfig], TensorFile]

SHAPES = {
    "tiny": (216, 108, 31, 31),
    "smollm2-135m": (9, 3, 12, 1021),
    "gpt2": (12, 12, 10, 1023),
    "deit-b16-384": (12, 12, 16, 577),
    "minilm": (12, 12, 18, 509),
    "long-4096": (8, 2, 4, 4093),
}
"""Query heads, K/V heads, queries, keys: at least 100,000 valid pairs, the last beat of keys never full."""

PAIRS = 100_000

SLOW = {"gpt2", "long-4096"}
"""The first is the core of smollm2-135m, but for the entries of its table; the second takes minutes to build."""


def presets(*names: str, slow: set[str] = SLOW) -> list[Any]:
    return [pytest.param(name, marks=[pytest.mark.slow] if name in slow else []) for name in names]


# A full head of smollm2-135m is below, deit-b16-384 is in test_throughput.
@pytest.mark.parametrize("name", presets(*PRESETS, slow=SLOW | {"smollm2-135m", "deit-b16-384"}))
def test_random_pairs(name: str, equal_to_golden: EqualToGolden):
    config = preset(name)
    got = equal_to_golden(config, random_trace(config, 1, *SHAPES[name]), flow="both")
    keys_seen, survivors, kept = got["counters_total"]
    assert keys_seen >= PAIRS
    assert 0.05 * keys_seen < kept < survivors < keys_seen, "the trace must make the filter work"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["smollm2-135m"])
def test_a_full_head(name: str, equal_to_golden: EqualToGolden):
    """Every query and every key that fits, one head."""
    config = preset(name)
    got = equal_to_golden(config, random_trace(config, 2, 1, 1, config.max_keys, config.max_keys), flow="both")
    assert got["keep"].shape == (1, 1024, 1024)


@pytest.mark.parametrize("name", presets("smollm2-135m", "gpt2", "deit-b16-384", slow=SLOW | {"deit-b16-384"}))
def test_the_real_trace(name: str, real_trace: RealTrace, equal_to_golden: EqualToGolden):
    """Nine heads of SmolLM2-135M back to back: each is issued while the one before is still in the core.

    Here cocotb judges; the bulk of the other tests is native.
    """
    config = preset(name)
    equal_to_golden(config, real_trace(config), "verilator", flow="both", back_to_back=True)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("iverilog") is None, reason="the second simulator, Icarus, is not installed")
@pytest.mark.parametrize("name", ["smollm2-135m"])
def test_part_of_the_real_trace_in_both_simulators(name: str, real_trace: RealTrace, equal_to_golden: EqualToGolden):
    """The last queries of two heads that share a K/V head: full causal rows."""
    config = preset(name)
    whole = real_trace(config)
    queries, keys = 16, whole.k8.shape[1]
    part = replace(
        whole,
        q8=whole.q8[3:5, -queries:],
        k8=whole.k8[1:2],
        v8=whole.v8[1:2],
        tau_int=whole.tau_int[3:5],
        softmax_scale=whole.softmax_scale[3:5],
        causal_offset=keys - queries,
    )
    runs = [equal_to_golden(config, part, simulator=simulator, flow="both") for simulator in ("verilator", "icarus")]
    for array in ("query_start", "query_cycles", "counters"):
        assert (runs[0][array] == runs[1][array]).all(), array
