"""The emitted multi-head core: its port names, which are a contract, lint, and files that are the same every time."""

import json
import re
from pathlib import Path

import pytest

from latte_hw.config import Core
from latte_hw.config.errors import LatteError
from latte_hw.config.loading import resolve_config
from latte_hw.config.top import Reset, TopConfig
from latte_hw.emit import top as emit_top
from latte_hw.emit.packages.core_files import CoreFiles
from latte_hw.system.top import LatteTop
from sim.simulators import runner, yosys_check

TINY = TopConfig(head_dim=8, max_keys=16, keys_per_cycle=2, causal=True)
CONFIGURATIONS = {
    "one core": TINY,
    "three cores": TINY.replace(cores=3, stream_bits=512, reset="aresetn"),
    "pairs of kept keys": TINY.replace(cores=2, kept_per_cycle=2),
    "odd": TINY.replace(head_dim=12, cores=2, kv_buffers=1, out_fraction_bits=3, keys_per_cycle=1, max_keys=5),
}
SLOW = {"one core", "three cores"}  # the others have one and two

STREAM = "tdata tkeep tlast tvalid tready"
LITE = """
awaddr awprot awvalid awready wdata wstrb wvalid wready bresp bvalid bready
araddr arprot arvalid arready rdata rresp rvalid rready
"""
DATA_PORTS = [f"{port}_{name}" for port in ("s_axis_q", "s_axis_k", "s_axis_v", "m_axis_o") for name in STREAM.split()]
PORTS = [*DATA_PORTS, *(f"s_axil_{name}" for name in LITE.split()), "irq"]


def top_ports(verilog: str) -> list[str]:
    header = re.search(r"module latte_top\(([^)]*)\)", verilog)
    assert header is not None
    return [name.strip() for name in header.group(1).split(",")]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in CONFIGURATIONS]
)
def test_the_verilog_is_clean_and_its_ports_have_the_usual_names(name: str, tmp_path: Path) -> None:
    config = CONFIGURATIONS[name]
    path, description, _ = emit_top.generate(config, tmp_path)
    reset = ["clk", "aresetn"] if config.reset is Reset.ARESETN else ["clk", "rst"]
    assert sorted(top_ports(path.read_text())) == sorted([*reset, *PORTS])
    assert list(json.loads(description.read_text())["ports"]) == [*reset, *PORTS]
    assert runner.lint(path) == ""
    assert yosys_check.check(path, "latte_top") == ""


def test_every_file_is_byte_identical_on_every_run(tmp_path: Path) -> None:
    for run in ("first", "second"):
        emit_top.generate(TINY, tmp_path / run)
    names = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert names == sorted(CoreFiles().purposes)
    for name in names:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name


def test_the_description_says_what_the_verilog_has() -> None:
    config = TINY.replace(stream_bits=128)
    top = LatteTop(config)
    described, verilog = emit_top.describe(top), emit_top.to_verilog(top)
    assert TopConfig.model_validate(described["config"]) == config
    assert described["ports"]["m_axis_o_tkeep"] == {"direction": "out", "width": 16}
    assert described["ports"]["s_axil_awaddr"] == {"direction": "in", "width": 13}
    for name, port in described["ports"].items():
        bits = rf"\[{port['width'] - 1}:0\] " if port["width"] > 1 else ""
        assert re.search(rf"^  {port['direction']}put {bits}{name};$", verilog, re.M), name


def test_a_preset_is_a_top_of_one_core_with_streams_of_64_bits() -> None:
    config = resolve_config("smollm2-135m", None, ["cores=2"], core=Core.TOP)
    assert isinstance(config, TopConfig)
    assert (config.cores, config.stream_bits, config.reset, config.heads) == (2, 64, Reset.RST, 9)
    with pytest.raises(LatteError, match="cores belongs to --core top, not to latte"):
        resolve_config("smollm2-135m", None, ["cores=2"])
