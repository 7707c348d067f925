"""The Verilog as shipped, under the plain synthesis command of every family: taken, with the DSP blocks it states."""

import json
import re
from pathlib import Path

import pytest

from latte_hw.config import LatteConfig
from latte_hw.config.presets import preset
from latte_hw.emit import head as emit
from latte_hw.synth import tools

FAMILIES = {  # command: cells that multiply; none where it makes products of LUTs by default
    "synth_ecp5": r"MULT18X18D",
    "synth_xilinx": r"DSP48E1",
    "synth_nexus": r"MULT\d+X\d+",
    "synth_gowin": r"MULT\d+X\d+",
    "synth_gatemate": r"CC_MULT",
    "synth_ice40": None,
    "synth_efinix": None,
    "synth_lattice -family xo2": None,
}
SMALLEST = LatteConfig(head_dim=8, max_keys=8, keys_per_cycle=1)


def check(command: str, config: LatteConfig, folder: Path) -> None:
    head = emit.build_head(config)
    (folder / "t.v").write_text(emit.to_verilog(head))
    (folder / "run.ys").write_text(
        f"read_verilog t.v\n{command} -top {emit.top_of(head)}\ntee -q -o stat.json stat -json\n"
    )
    tools.run(tools.YOSYS, ["-s", "run.ys"], folder, ["stat.json"])
    stat = json.loads((folder / "stat.json").read_text())
    assert not [name for name in stat["modules"] if name.startswith("$")]
    cells = stat["design"]["num_cells_by_type"]
    multiply = FAMILIES[command]
    counted = sum(count for cell, count in cells.items() if multiply and re.fullmatch(multiply, cell))
    described = sum(one["count"] for one in emit.describe(head)["dsp_products"])
    assert counted == (described if multiply else 0), cells


@pytest.mark.parametrize(
    "command", [pytest.param(one, marks=() if one == "synth_gatemate" else pytest.mark.slow) for one in FAMILIES]
)
def test_the_smallest_core(command: str, tmp_path: Path):
    """GateMate has no LUT RAM, and makes a multiplier of any product of two bits: it stands for the others."""
    check(command, SMALLEST, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("command", FAMILIES)
def test_a_preset(command: str, tmp_path: Path):
    check(command, preset("tiny"), tmp_path)
