"""Additions in dot products without a register between them: a carry chain each, and still the same sums."""

import json
from collections import Counter
from pathlib import Path

import pytest

from latte_hw.config import DotChoice
from latte_hw.config.dot import DOT_CHOICES, REUSE
from latte_hw.config.presets import preset
from latte_hw.synth import script, tools
from latte_hw.synth.flow import Job
from latte_hw.synth.targets import TARGETS

ECP5 = TARGETS["ecp5-85k"]
SUMS = """
module some_dot(input [5:0] a, b, c, d, input signed [4:0] e, f, output [7:0] total, output signed [5:0] difference);
  assign total = a + b + c + d;
  assign difference = e + f;
endmodule
module t(input clk, input [5:0] a, b, c, d, input signed [4:0] e, f, output reg [7:0] q, output reg signed [5:0] r);
  wire [7:0] total;
  wire signed [5:0] difference;
  some_dot dot(a, b, c, d, e, f, total, difference);
  always @(posedge clk) begin q <= total; r <= difference; end
endmodule
"""


def cells(folder: Path, chained_adders: bool) -> Counter[str]:
    """Cells of a flat netlist, by type."""
    (folder / "t.v").write_text(SUMS)
    (folder / script.ADDER_FILE).write_text(script.ADDER_MAP)
    (folder / "run.ys").write_text(script.flat_script(ECP5, "t.v", "t", True, chained_adders=chained_adders))
    tools.run(tools.YOSYS, ["-s", "run.ys"], folder, [script.NETLIST_FILE])
    netlist = json.loads((folder / script.NETLIST_FILE).read_text())
    return Counter(cell["type"] for cell in netlist["modules"]["t"]["cells"].values())


def test_no_compressor_is_left(tmp_path: Path):
    merged, alone = cells(tmp_path, False), cells(tmp_path, True)
    assert merged["LUT4"] > 0, "Yosys builds compressors from LUTs"
    assert alone["LUT4"] == 0
    assert alone["CCU2C"] > merged["CCU2C"]


def test_the_sums_are_equal(tmp_path: Path):
    (tmp_path / "t.v").write_text(SUMS)
    (tmp_path / script.ADDER_FILE).write_text(script.ADDER_MAP)
    (tmp_path / "run.ys").write_text(
        "read_verilog t.v\nhierarchy -top t\nproc\nflatten\nrename t gold\ndesign -stash gold\n"
        f"read_verilog t.v\nhierarchy -top t\nproc\nwreduce\ntechmap -map {script.ADDER_FILE} *dot*/t:$add\n"
        "select -assert-none */t:$add\nflatten\nrename t gate\ndesign -stash gate\n"
        "design -copy-from gold gold\ndesign -copy-from gate gate\n"
        "equiv_make gold gate equal\nhierarchy -top equal\nequiv_simple\nequiv_status -assert\n"
    )
    tools.run(tools.YOSYS, ["-s", "run.ys"], tmp_path)


@pytest.mark.parametrize("prefix", ["", REUSE])
@pytest.mark.parametrize("kind", DOT_CHOICES)
def test_only_where_registers_are_sparse(kind: DotChoice, prefix: str):
    job = Job("tiny", preset("tiny").replace(**kind.fields(prefix)), ECP5)
    assert job.chained_adders == (kind.adders_per_register == 2)
