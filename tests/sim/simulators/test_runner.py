"""Simulators: found or said to be missing, their own words shown, builds kept."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from golden.files.tensors import TensorFile
from latte_hw.config import LatteConfig
from latte_hw.config.errors import LatteError, MismatchError
from latte_hw.emit import head as emit
from sim.head.harness import Options
from sim.head.traffic import Traffic
from sim.simulators import builds, runner

COUNTER = "module counter(input clk, output reg [3:0] n);\n  always @(posedge clk) n <= n + 4'd1;\nendmodule\n"


@pytest.fixture
def build_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build folder of its own."""
    monkeypatch.setenv("LATTE_BUILD", str(tmp_path / "builds"))
    return tmp_path / "builds"


@pytest.fixture
def icarus() -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("needs iverilog")


@pytest.mark.parametrize(("simulator", "tool"), [("verilator", "perl"), ("icarus", "iverilog")])
def test_a_missing_tool_is_named(simulator: str, tool: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LatteError, match=f"simulation needs `{tool}`, which is not on PATH"):
        builds.environment(simulator)


def test_an_unknown_simulator():
    with pytest.raises(LatteError, match="simulator must be one of verilator, icarus, not 'vcs'"):
        builds.environment("vcs")


@pytest.mark.usefixtures("icarus")
def test_a_build_is_kept_and_two_at_once_do_no_harm(build_folder: Path, tmp_path: Path):
    verilog = tmp_path / "counter.v"
    verilog.write_text(COUNTER)
    with ThreadPoolExecutor(2) as pool:
        folders = set(pool.map(lambda _: builds.build(verilog, "counter", "icarus"), range(2)))
    assert len(folders) == 1
    assert [folder.name for folder in build_folder.iterdir()] == [folders.pop().name], "scratch folders are left"
    verilog.write_text(COUNTER.replace("4'd1", "4'd2"))
    builds.build(verilog, "counter", "icarus")
    assert len(list(build_folder.iterdir())) == 2


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
@pytest.mark.usefixtures("icarus")
def test_the_words_of_the_tool_are_shown(simulator: str, build_folder: Path, tmp_path: Path):
    verilog = tmp_path / "counter.v"
    verilog.write_text(COUNTER.replace("endmodule", ""))
    with pytest.raises(LatteError, match=r"(?s)failed \(.*exit code.*counter\.v:\d+.*"):
        builds.build(verilog, "counter", simulator)
    assert list(build_folder.iterdir()) == []


def test_lint(tmp_path: Path):
    verilog = tmp_path / "counter.v"
    verilog.write_text(COUNTER)
    assert runner.lint(verilog) == ""
    verilog.write_text(COUNTER.replace("4'd1", "5'd1"))
    assert "WIDTH" in runner.lint(verilog)


@pytest.mark.usefixtures("icarus")
def test_an_unknown_value_is_an_error(tiny: LatteConfig, trace: Callable[..., TensorFile], tmp_path: Path):
    """The bench must not take an X for a 0."""
    emitted = emit.generate(tiny, tmp_path, taps=True)
    text = emitted.verilog.read_text()
    start = text.index("module latte_head(")
    end = text.index("endmodule", start)
    body = text[start:end].replace("output i_q_ready;", "output i_q_ready; assign i_q_ready = 1'bx;")
    emitted.verilog.write_text(text[:start] + body + text[end:])
    with pytest.raises(MismatchError, match=r"i_q_ready is [xX]"):
        runner.run(emitted.verilog, emitted.description, Traffic.from_tensors(trace()), Options(), simulator="icarus")


def test_progress_is_reported(tiny: LatteConfig, trace: Callable[..., TensorFile], tmp_path: Path):
    emitted = emit.generate(tiny, tmp_path, taps=True)
    reported: list[int] = []
    traffic = Traffic.from_tensors(trace(heads=16, kv_heads=16, n_queries=16, n_keys=32))
    runner.run(emitted.verilog, emitted.description, traffic, Options(), progress=reported.append)
    assert reported == sorted(reported)
    assert reported[-1] > 0
