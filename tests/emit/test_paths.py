"""Which outputs follow an input within the same clock cycle, in the netlist: what the pages say of it, and no more."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from latte_hw.config import LatteConfig
from latte_hw.config.top import TopConfig
from latte_hw.emit import head as emit_head
from latte_hw.emit import top as emit_top
from latte_hw.synth.tools import YOSYS, run
from latte_hw.system.top import LatteTop

SCRIPT = """\
read_verilog core.v
hierarchy -auto-top
proc
flatten
opt_clean
memory -nomap
opt_clean
simplemap
write_json core.json
"""

SMALL = {"head_dim": 8, "max_keys": 16, "keys_per_cycle": 2, "causal": True}

CLOCKED = ("$dff", "$sdff", "$_DFF", "$_SDFF", "$_DFFE", "$_SDFFE", "$_SDFFCE")
"""How the types of cells begin whose outputs are registers."""


def paths(verilog: str, folder: Path) -> set[tuple[str, str]]:
    """Inputs and outputs of the top module with gates and nothing else between them.

    A memory's read port without a clock is a gate from its address to its data.
    """
    (folder / "core.v").write_text(verilog)
    (folder / "script.ys").write_text(SCRIPT)
    run(YOSYS, ["-q", "script.ys"], folder, produces=["core.json"])
    modules = json.loads((folder / "core.json").read_text())["modules"]
    (module,) = [one for one in modules.values() if int(one["attributes"].get("top", "0"), 2)]
    behind = defaultdict(set)  # bits that follow a bit
    for cell in module["cells"].values():
        kind, ports = cell["type"], cell["connections"]
        if kind.startswith(CLOCKED):
            continue
        if kind == "$mem_v2":
            link_reads(cell, behind)
            continue
        outputs = [bit for name, bits in ports.items() if cell["port_directions"][name] == "output" for bit in bits]
        for name, bits in ports.items():
            if cell["port_directions"][name] == "input":
                for bit in bits:
                    behind[bit].update(outputs)
    found = set()
    outward = {name: port for name, port in module["ports"].items() if port["direction"] == "output"}
    ends = {bit: name for name, port in outward.items() for bit in port["bits"]}
    for name, port in module["ports"].items():
        if port["direction"] != "input" or name == "clk":
            continue
        seen, left = set(port["bits"]), list(port["bits"])
        while left:
            new = behind[left.pop()] - seen
            seen |= new
            left.extend(new)
        found |= {(name, ends[bit]) for bit in seen if bit in ends}
    return found


def link_reads(memory: dict, behind: dict) -> None:
    """A memory's read ports that have no clock."""
    parameters, ports = memory["parameters"], memory["connections"]
    reads, width, bits = (int(parameters[name], 2) for name in ("RD_PORTS", "WIDTH", "ABITS"))
    clocked = parameters["RD_CLK_ENABLE"][::-1]
    for port in range(reads):
        if clocked[port] == "0":
            for bit in ports["RD_ADDR"][port * bits : (port + 1) * bits]:
                behind[bit].update(ports["RD_DATA"][port * width : (port + 1) * width])


EXPECTED = {("i_q_valid", "i_q_ready"), ("i_q_valid", "i_job_ready")}


@pytest.mark.parametrize("pipeline", ["compact", "large"])
def test_a_head_has_two_paths_and_the_page_names_them(pipeline: str, tmp_path: Path) -> None:
    head = emit_head.build_head(LatteConfig(**SMALL, pipeline=pipeline))
    assert paths(emit_head.to_verilog(head), tmp_path) == EXPECTED
    page = " ".join((Path(__file__).parents[2] / "docs" / "using-the-verilog.md").read_text().split())
    for ends in EXPECTED:
        assert "`{}` to `{}`".format(*ends) in page


def test_the_axi_core_has_none(tmp_path: Path) -> None:
    assert paths(emit_top.to_verilog(LatteTop(TopConfig(**SMALL, cores=2))), tmp_path) == set()


def test_a_path_is_found(tmp_path: Path) -> None:
    verilog = """
    module core(input clk, input [1:0] a, input b, input c, output y, output reg z, output [7:0] w);
      reg [7:0] words [0:3];
      always @(posedge clk) begin z <= b; words[0] <= {8{c}}; end
      assign y = a[1] & z;
      assign w = words[a];
    endmodule
    """
    assert paths(verilog, tmp_path) == {("a", "y"), ("a", "w")}
