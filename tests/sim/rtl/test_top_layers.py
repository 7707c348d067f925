"""The emitted multi-head core, driven by the driver through an independent bus model: whole layers equal golden."""

import shutil
from typing import Any

import pytest

from latte_hw.config.presets import preset
from latte_hw.config.top import TopConfig
from sim.reports.top_throughput import LEAST_TIMES
from sim.top import runner as top_runner
from sim.top.transport import PACES

TINY = TopConfig(head_dim=8, max_keys=16, keys_per_cycle=2, causal=True, cores=2)
SMALL = {"shape": "random", "heads": 4, "kv_heads": 2, "n_queries": 5, "n_keys": 9}
SHAPES = [SMALL, {**SMALL, "heads": 6, "n_keys": 16, "n_queries": 16, "seed": 2}, {**SMALL, "n_queries": 1, "seed": 3}]
LAYERS = "sim.top.layers:layers"


def top(name: str, **changes: Any) -> TopConfig:
    return TopConfig(**preset(name).model_dump() | changes)


def run(config: TopConfig, shapes: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    result: dict[str, Any] = top_runner.run(config, LAYERS, shapes=shapes, **options)["result"]
    return result


@pytest.mark.slow
@pytest.mark.parametrize(("idle", "stall"), [("none", "none"), ("0.5", "0.5")])
@pytest.mark.parametrize("name", ["smollm2-135m"])
def test_a_layer_of_the_captured_trace(name: str, idle: str, stall: str) -> None:
    """9 query heads on 3 K/V heads, causal, 256 tokens of SmolLM2-135M; then the last queries of it alone."""
    trace = {"shape": "trace", "heads": 9, "kv_heads": 3, "n_keys": 256}
    result = run(top(name), [trace | {"n_queries": 256}, trace | {"n_queries": 7}], idle=idle, stall=stall)
    assert result["elements"] == 9 * (256 + 7) * 64
    assert 0.05 < result["counters"]["kept"] / result["counters"]["keys_seen"] < 0.2


@pytest.mark.slow
@pytest.mark.parametrize(("idle", "stall"), [("none", "none"), ("0.5", "0.5")])
@pytest.mark.parametrize("name", ["minilm"])
def test_a_layer_of_twelve_heads_without_a_mask(name: str, idle: str, stall: str) -> None:
    """minilm has 12 heads of 32 dimensions: halves of the captured heads, which keep 1% to 78% of the pairs."""
    trace = {"shape": "halves", "heads": 12, "kv_heads": 12, "n_queries": 256, "n_keys": 256}
    result = run(top(name), [trace], idle=idle, stall=stall)
    assert result["elements"] == 12 * 256 * 32
    assert result["counters"]["keys_seen"] == 12 * 256 * 256
    assert 0.02 < result["counters"]["kept"] / result["counters"]["keys_seen"] < 0.5


CONFIGURATIONS = {
    "two cores": TINY,
    "one core, aresetn": TINY.replace(cores=1, reset="aresetn"),
    "three cores, wide": TINY.replace(cores=3, stream_bits=512),
    "odd": TINY.replace(head_dim=12, kv_buffers=1, out_fraction_bits=3, keys_per_cycle=1, stream_bits=32),
    "all keys": TINY.replace(causal=False),
}

IN_THE_SUITE = {"one core, aresetn", "odd"}


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus is not installed")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in IN_THE_SUITE else pytest.mark.slow) for name in CONFIGURATIONS]
)
def test_small_layers_in_icarus(name: str) -> None:
    run(CONFIGURATIONS[name], SHAPES, simulator="icarus", idle="0.5", stall="0.5")


@pytest.mark.each_choice
@pytest.mark.parametrize("stall", PACES)
@pytest.mark.parametrize("idle", PACES)
def test_every_pair_of_paces(idle: str, stall: str) -> None:
    """All ports of one side stalled in one way, all of the other in another; a seed of its own for each pair, 25 in
    all. `make soak` has 200."""
    seed = len(PACES) * PACES.index(idle) + PACES.index(stall)
    result = run(TINY, SHAPES, idle=idle, stall=stall, seed=seed)
    assert result["elements"] == 8 * (4 * 5 + 6 * 16 + 4)
    assert (result["counters"]["stalled_output"] > 0) == (stall != "none")


@pytest.mark.parametrize("idle", ["none", "0.5"])
def test_thresholds_written_behind_a_start_are_for_the_next_layer(idle: str) -> None:
    arguments = {"layers": 20, "draws": 5, "idle": idle}
    assert top_runner.run(TINY, "sim.top.tables:written_behind_start", **arguments)["result"]["refused"] > 5


@pytest.mark.slow
@pytest.mark.parametrize("cores", [2, 4])
def test_cores_share_a_layer(cores: int) -> None:
    """The bounds of `make throughput` on small cores, and loading that is hidden behind computing.

    tests/system/test_multihead.py has the same in Amaranth's simulator.
    """
    layer = {**SMALL, "heads": 64, "kv_heads": 64, "n_queries": 16, "n_keys": 16}
    single, several = (run(TINY.replace(cores=number), [layer])["counters"] for number in (1, cores))
    assert single["cycles_busy"] >= LEAST_TIMES[cores] * several["cycles_busy"]
    assert single["stalled_input"] <= 0.01 * single["cycles_busy"]
