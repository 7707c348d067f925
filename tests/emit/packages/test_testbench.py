"""The testbench that comes with a core means the same in every simulator, as Verilog and as SystemVerilog."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from latte_hw.config.top import TopConfig
from sim.simulators import builds

SOURCES = ("latte_top_tb.v", "latte_top_ip.v", "latte_top.v")

needs_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus is not installed")


@needs_icarus
@pytest.mark.parametrize("standard", ["2005", "2012"])
def test_it_passes_in_icarus(standard: str, folder: Path, config: TopConfig, tmp_path: Path) -> None:
    program = str(tmp_path / "tb")
    command = ["iverilog", f"-g{standard}", "-s", "latte_top_tb", "-o", program, *SOURCES]
    subprocess.run(command, cwd=folder, check=True)
    done = subprocess.run(["vvp", "-n", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert re.search(rf"^PASS: \d+ checks, 2 layers of {2 * config.cores + 2} heads, 3 queries,", done.stdout, re.M)


@pytest.mark.skipif(shutil.which("perl") is None, reason="Verilator needs perl")
def test_verilator_has_nothing_to_say_of_it(folder: Path) -> None:
    """So that `verilator --binary` takes it without an option; the core's own file has its waivers."""
    command = ["verilator", "--lint-only", "--timing", "--top-module", "latte_top_tb", "latte_top.vlt", *SOURCES]
    done = subprocess.run(command, cwd=folder, env=builds.environment("verilator"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "%Warning" not in done.stderr


def test_it_drives_at_one_edge_and_samples_at_the_other(folder: Path) -> None:
    """Nothing but registers that sample is clocked by the rising edge: no simulator can order what is left wrongly."""
    text = (folder / "latte_top_tb.v").read_text()
    assert "@(posedge clk);" not in text
    for block in re.findall(r"always @\(posedge clk\) (begin.*?\n  end|.*?;)", text, re.S):
        assert re.findall(r" = ", block) == []
        assert "<=" in block
