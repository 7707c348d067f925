"""A C program that knows the generated files alone programs a layer on the simulated core and gets golden's output."""

import shutil
import subprocess
from pathlib import Path

import pytest

from latte_hw.config.top import TopConfig
from latte_hw.emit import top as emit_top
from sim.top import runner as top_runner

CONFIGURATIONS = {
    "default": TopConfig(head_dim=8, max_keys=16, keys_per_cycle=2, causal=True),
    "wide outputs": TopConfig(
        head_dim=12, max_keys=16, keys_per_cycle=1, out_fraction_bits=3, stream_bits=32, split="truncate", msb_bits=3
    ),
}
SHAPE = {"seed": 5, "heads": 4, "kv_heads": 2, "n_queries": 6, "n_keys": 11}
SOURCE = Path(__file__).parent / "layer.c"
SIMULATOR = "icarus" if shutil.which("iverilog") else "verilator"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name != "default" else []) for name in CONFIGURATIONS]
)
def test_a_program_runs_a_layer(name: str, tmp_path: Path) -> None:
    emit_top.generate(CONFIGURATIONS[name], tmp_path)
    library = tmp_path / "layer.so"
    strict = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror"]
    command = ["gcc", *strict, "-shared", "-fPIC", f"-I{tmp_path}", str(SOURCE), "-o", str(library), "-lm"]
    subprocess.run(command, check=True)
    scenario = "sim.top.c_program:layer"
    summary = top_runner.run_generated(tmp_path, scenario, simulator=SIMULATOR, library=str(library), shape=SHAPE)
    result = summary["result"]
    assert result["elements"] == 4 * 6 * CONFIGURATIONS[name].head_dim
    assert 0 < result["kept"] < result["seen"]
