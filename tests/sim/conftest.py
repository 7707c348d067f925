"""Small runs that the tests of `sim` share."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from golden.files.stimuli import random_trace
from golden.files.tensors import TensorFile, from_arrays, load
from latte_hw.config import CoreConfig, LatteConfig
from latte_hw.config.presets import preset
from sim.head.collect import Arrays
from sim.simulate import compare, expect, simulate

TOOLS = {"amaranth": (), "verilator": ("perl", "make", "g++"), "icarus": ("iverilog", "vvp")}


def missing(simulator: str) -> list[str]:
    return [tool for tool in TOOLS[simulator] if shutil.which(tool) is None]


@pytest.fixture(scope="session")
def tiny() -> LatteConfig:
    return preset("tiny")


@pytest.fixture(scope="session")
def trace(tiny: LatteConfig) -> Callable[..., TensorFile]:
    """Tensors of the shape asked for, for the configuration `tiny`."""

    def make(heads: int = 2, kv_heads: int = 1, n_queries: int = 6, n_keys: int = 9, seed: int = 1) -> TensorFile:
        return from_arrays(random_trace(tiny, seed, heads, kv_heads, n_queries, n_keys), tiny)

    return make


@pytest.fixture(params=TOOLS)
def simulator(request: pytest.FixtureRequest) -> str:
    if tools := missing(request.param):
        pytest.skip(f"{request.param} needs {', '.join(tools)}")
    return request.param


@pytest.fixture(scope="session")
def small_simulator() -> str:
    """The simulator of a small core that runs once: Icarus needs no build; without it the native one has the least."""
    return "native" if missing("icarus") else "icarus"


@pytest.fixture(scope="session")
def equal_to_golden() -> Callable[..., Arrays]:
    """Runs tensors through the core, demands equality with the golden model at every stage, gives what was run.

    In the native simulator, built quickly, unless another is named.
    """

    def check(
        config: CoreConfig,
        tensors: TensorFile | Mapping,
        simulator: str = "native",
        flow: str = "free",
        back_to_back: bool = False,
    ) -> Arrays:
        if not isinstance(tensors, TensorFile):
            tensors = from_arrays(tensors, config)
        got = simulate(
            tensors, config, simulator=simulator, flow=flow, seed=7, back_to_back=back_to_back, quick_build=True
        )
        difference = compare(expect(tensors, config), got)
        assert difference is None, f"{config.core}, {simulator}, {flow}: {difference}"
        stages = {"keep", "score", "prob", "out"} | ({"estimate"} if isinstance(config, LatteConfig) else set())
        assert stages <= got.keys(), "a stage was not seen"
        return got

    return check


@pytest.fixture(scope="session")
def simulators_agree(equal_to_golden: Callable[..., Arrays]) -> Callable[[CoreConfig, Mapping], None]:
    """Demands that a core equals golden in values in each simulator that is there, and Amaranth's in every cycle."""

    def check(config: CoreConfig, tensors: TensorFile | Mapping) -> None:
        reference = equal_to_golden(config, tensors, "amaranth", "both")
        for simulator in ("verilator", "icarus", "native"):
            if missing("verilator" if simulator == "native" else simulator):
                continue
            got = equal_to_golden(config, tensors, simulator, "both")
            for array in ("query_start", "query_cycles", "counters"):
                assert (got[array] == reference[array]).all(), f"{simulator}: {array}"

    return check


@pytest.fixture(scope="session")
def real_trace() -> Callable[[LatteConfig], TensorFile]:
    """The committed trace of SmolLM2-135M under a configuration: 9 query heads on 3 K/V heads, 256 tokens."""
    return lambda config: load(Path(__file__).parents[2] / "traces" / "smollm2-135m.npz", config)
