"""The core against the golden model in every simulator, and that a fault anywhere makes the comparison red."""

import shutil
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from golden.attention import attention
from golden.files.stimuli import CORNERS
from golden.files.tensors import TensorFile, from_arrays
from latte_hw.config import LatteConfig, Rule
from latte_hw.config.errors import LatteError, MismatchError
from sim.lib.streams import Flow
from sim.simulate import compare, simulate
from sim.simulators import builds

Trace = Callable[..., TensorFile]


@pytest.mark.parametrize("flow", Flow)
def test_equal_at_every_stage(simulator: str, flow: Flow, tiny: LatteConfig, trace: Trace):
    tensors = trace()
    got = simulate(tensors, tiny, simulator=simulator, flow=flow, seed=3)
    assert compare(attention(tensors, tiny), got) is None
    assert {"estimate", "keep", "score", "prob", "out", "counters"} <= got.keys()


def test_simulators_agree_in_every_cycle(tiny: LatteConfig, trace: Trace, simulator: str):
    """A race between the bench and the core would show here: the readings of two simulators would part."""
    tensors = trace(heads=3, kv_heads=3)
    got = simulate(tensors, tiny, simulator=simulator, flow="both", seed=5)
    reference = simulate(tensors, tiny, simulator="amaranth", flow="both", seed=5)
    for name in ("query_start", "query_cycles"):
        assert (got[name] == reference[name]).all(), name


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus is not installed")
@pytest.mark.parametrize("standard", ["2005", "2005-sv", "2009", "2012"])
def test_the_verilog_means_the_same_at_every_level(
    standard: str, tiny: LatteConfig, trace: Trace, monkeypatch: pytest.MonkeyPatch
):
    """From SystemVerilog on, an initialiser makes no event: a block that waits for one would give X for ever."""
    monkeypatch.setattr(builds, "STANDARD", standard)
    tensors = trace()
    got = simulate(tensors, tiny, simulator="icarus", flow="both", seed=3)
    assert compare(attention(tensors, tiny), got) is None


@pytest.mark.parametrize("corner", CORNERS)
def test_corners(corner: str, tiny: LatteConfig):
    tensors = from_arrays(CORNERS[corner](tiny, 1), tiny)
    got = simulate(tensors, tiny, simulator="verilator", flow="both", seed=2)
    assert compare(attention(tensors, tiny), got) is None


@pytest.mark.parametrize("back_to_back", [False, True])
def test_more_heads_than_table_entries(back_to_back: bool, tiny: LatteConfig, trace: Trace):
    tensors = trace(heads=2 * tiny.heads + 2, kv_heads=tiny.heads + 1)
    assert len(set(tensors.tau_int.tolist())) > 1, "the heads must differ for this to say anything"
    got = simulate(tensors, tiny, back_to_back=back_to_back)
    assert compare(attention(tensors, tiny), got) is None
    assert ("counters" in got) is not back_to_back


def test_static_thresholds_may_be_negative(tiny: LatteConfig):
    config = tiny.replace(rule=Rule.STATIC)
    tensors = from_arrays(CORNERS["tau_minimum"](config, 1), config)
    assert (tensors.tau_int < 0).all()
    assert compare(attention(tensors, config), simulate(tensors, config, simulator="amaranth")) is None


def test_without_taps(tiny: LatteConfig, trace: Trace):
    tensors = trace()
    got = simulate(tensors, tiny, simulator="amaranth", taps=False)
    assert "score" not in got
    assert compare(attention(tensors, tiny), got) is None


def test_cycles_of_queries_and_heads(tiny: LatteConfig, trace: Trace):
    got = simulate(trace(), tiny, simulator="amaranth")
    start, left = got["query_start"], got["query_cycles"]
    assert (np.diff(start) > 0).all()
    assert (np.diff(left) > 0).all()
    assert (left > start).all()
    assert (got["cycles"] == left[:, -1] - start[:, 0] + 1).all()
    assert got["cycles_total"] == left.max() + 1


# --- negative controls ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["estimate", "keep", "score", "prob", "out", "counters"])
def test_one_flipped_bit_of_golden_is_red(name: str, tiny: LatteConfig, trace: Trace):
    tensors = trace()
    expected = attention(tensors, tiny)
    flipped = expected[name].copy()
    flipped.flat[flipped.size // 2] ^= 1
    got = simulate(tensors, tiny, simulator="amaranth")
    assert compare(expected, got) is None
    difference = compare(expected | {name: flipped}, got)
    assert difference is not None
    assert name in difference


@pytest.mark.parametrize("step", [-1, 1])
def test_a_threshold_off_by_one_is_red(step: int, tiny: LatteConfig, trace: Trace):
    tensors = trace(n_queries=16, n_keys=32)
    wrong = replace(tensors, tau_int=tensors.tau_int + step)
    difference = compare(attention(tensors, tiny), simulate(wrong, tiny, simulator="amaranth"))
    assert difference is not None
    assert difference.startswith("keep")


def test_another_softmax_scale_is_red(tiny: LatteConfig, trace: Trace):
    tensors = trace(n_queries=16, n_keys=32)
    wrong = replace(tensors, softmax_scale=tensors.softmax_scale - [[0, 1]])
    difference = compare(attention(tensors, tiny), simulate(wrong, tiny, simulator="amaranth"))
    assert difference is not None
    assert difference.startswith("prob")


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("simulator", ["amaranth", "verilator"])
def test_the_cycle_limit_says_what_waits(simulator: str, tiny: LatteConfig, trace: Trace):
    with pytest.raises(MismatchError, match=r"limit of 300 cycles.* of 60 rows; .*i_k has \d+ payloads left"):
        simulate(trace(heads=10, kv_heads=10), tiny, simulator=simulator, cycle_limit=300)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"simulator": "vcs"}, "verilator, icarus, native, amaranth, not 'vcs'"),
        ({"flow": "fast"}, "free, idle, stalled, both"),
    ],
)
def test_unknown_names(wrong: dict[str, str], message: str, tiny: LatteConfig, trace: Trace):
    with pytest.raises(LatteError, match=message):
        simulate(trace(), tiny, **wrong)
