"""Unused address bits of LUT RAM tied to used ones: the netlist does the same, in a simulation of its RAMs."""

import copy
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from latte_hw.synth import tools
from latte_hw.synth.ram_addresses import spare

DUT = """\
module dut(input clk, input we, input [3:0] wa, input [3:0] ra, input [5:0] d, output [5:0] o);
(* ram_style = "distributed" *) reg [5:0] mem[0:{last}];
{initial}
always @(posedge clk) if (we) mem[wa[{top}:0]] <= d;
assign o = mem[ra[{top}:0]];
endmodule
"""


def netlist(folder: Path, depth: int, initial: str = "") -> dict[str, Any]:
    text = DUT.format(last=depth - 1, top=(depth - 1).bit_length() - 1, initial=initial)
    (folder / "dut.v").write_text(text)
    (folder / "run.ys").write_text("read_verilog dut.v\nsynth_ecp5 -top dut -noiopad\nwrite_json dut.json\n")
    tools.run(tools.YOSYS, ["-s", "run.ys"], folder, ["dut.json"])
    content: dict[str, Any] = json.loads((folder / "dut.json").read_text())
    return content


def rams(content: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in content["modules"]["dut"]["cells"].values() if cell["type"] == "TRELLIS_DPR16X4"]


def reads(content: dict[str, Any], writes: list[tuple[int, int, int]]) -> list[list[int]]:
    """What every RAM reads, for writes of (address, data, address that is read), one a cycle."""
    ports = content["modules"]["dut"]["ports"]
    answers = []
    for cell in rams(content):
        words = [0] * 16
        answer = []
        for address, data, read in writes:
            nets = {"0": 0, "1": 1, "x": 0}
            for name, value in (("wa", address), ("ra", read), ("d", data)):
                nets.update({bit: value >> place & 1 for place, bit in enumerate(ports[name]["bits"])})
            write_place, data_in, read_place = (
                sum(nets[bit] << weight for weight, bit in enumerate(cell["connections"][port]))
                for port in ("WAD", "DI", "RAD")
            )
            answer.append(words[read_place])
            words[write_place] = data_in
        answers.append(answer)
    return answers


@pytest.mark.parametrize(("depth", "tied"), [(2, 3), (4, 2), (5, 1), (8, 1), (16, 0)])
def test_every_read_is_the_same(tmp_path: Path, depth: int, tied: int) -> None:
    content = netlist(tmp_path, depth)
    changed = copy.deepcopy(content)
    assert spare(changed, "dut") == tied * len(rams(content)) == tied * 2
    assert all("0" not in cell["connections"][port] for cell in rams(changed) for port in ("WAD", "RAD"))
    random = Random(1)
    writes = [(random.randrange(depth), random.randrange(64), random.randrange(depth)) for _ in range(200)]
    before = reads(content, writes)
    assert reads(changed, writes) == before
    assert all(len(set(answer)) > 1 for answer in before)
    for cell in rams(changed):  # one address bit on another net, and some read is wrong
        ports = cell["connections"]
        ports["WAD"] = ports["RAD"]
    assert reads(changed, writes) != before


def test_what_a_ram_holds_at_first_stays_where_it_is(tmp_path: Path) -> None:
    content = netlist(tmp_path, 4, "initial begin mem[0] = 0; mem[1] = 63; mem[2] = 0; mem[3] = 63; end")
    changed = copy.deepcopy(content)
    assert rams(content)
    assert spare(changed, "dut") == 0
    assert changed == content


def test_a_word_that_is_written_but_never_read_keeps_its_place(tmp_path: Path) -> None:
    content = netlist(tmp_path, 16)
    for cell in rams(content):
        cell["connections"]["RAD"][2] = "0"
    changed = copy.deepcopy(content)
    assert spare(changed, "dut") == 0
    assert changed == content
