"""Small runs that the tests of `sim` share."""

import shutil
from collections.abc import Callable

import pytest

from golden.stimuli import random_trace
from golden.tensors import TensorFile, from_arrays
from latte_hw.config import LatteConfig
from latte_hw.presets import preset

TOOLS = {"amaranth": (), "verilator": ("perl", "make", "g++"), "icarus": ("iverilog", "vvp")}


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
    missing = [tool for tool in TOOLS[request.param] if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{request.param} needs {', '.join(missing)}")
    return request.param
