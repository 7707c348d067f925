"""Carry chains trimmed at both ends: the netlist does the same, in a simulation of its cells."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from latte_hw.synth import tools
from latte_hw.synth.carry_chains import trim

SUMS = {
    "unsigned": "assign o = a + b;",
    "signed": "assign o = $signed(a) + $signed(c);",
    "difference": "assign o = a - b;",
    "with_carry": "assign o = a + b + ci;",
    "carry_used": "wire [12:0] s = a + b; assign o = s[12] ? c : {b, ci};",
    "comparison": "assign o = a < b;",
    "three": "assign o = (a & {12{ci}}) + (b & {12{c[0]}}) - c;",
}


def netlist(folder: Path, body: str) -> dict[str, Any]:
    ports = "input [11:0] a, input [11:0] b, input [11:0] c, input ci, output [13:0] o"
    (folder / "dut.v").write_text(f"module dut({ports});\n{body}\nendmodule\n")
    (folder / "run.ys").write_text("read_verilog dut.v\nsynth_ecp5 -top dut -noiopad\nwrite_json dut.json\n")
    tools.run(tools.YOSYS, ["-s", "run.ys"], folder, ["dut.json"])
    content: dict[str, Any] = json.loads((folder / "dut.json").read_text())
    return content


def table_of(cell: dict[str, Any], name: str) -> list[int]:
    return [int(bit) for bit in reversed(cell["parameters"][name])]


def outputs_of(cell: dict[str, Any], value: Callable[[Any], int | None]) -> dict[str, int] | None:
    """What a cell drives by port, or None while one of its inputs has no value."""
    ports, directions = cell["connections"], cell["port_directions"]
    inputs = {port: value(bits[0]) for port, bits in ports.items() if directions[port] == "input"}
    if None in inputs.values():
        return None
    if cell["type"] == "LUT4":
        place = sum(inputs[pin] << weight for weight, pin in enumerate("ABCD"))
        return {"Z": table_of(cell, "INIT")[place]}
    carry, driven = inputs["CIN"], {}
    for half in "01":
        assert cell["parameters"][f"INJECT1_{half}"] == "NO"
        table = table_of(cell, f"INIT{half}")
        place = sum(inputs[pin + half] << weight for weight, pin in enumerate("ABCD"))
        propagates, generates = table[place], table[place & 3]
        driven[f"S{half}"] = propagates ^ carry
        carry = carry if propagates else generates
    return driven | {"COUT": carry}


def evaluate(module: dict[str, Any], inputs: dict[str, int], open_carry: int) -> int:
    """The output for these inputs, cell by cell as their own become known; what is not connected is `open_carry`."""
    nets: dict[Any, int] = {"0": 0, "1": 1}
    for name, number in inputs.items():
        nets.update({bit: number >> place & 1 for place, bit in enumerate(module["ports"][name]["bits"])})

    def value(bit: Any) -> int | None:
        return open_carry if bit == "x" else nets.get(bit)

    waiting = [cell for cell in module["cells"].values() if not cell["type"].startswith("$")]
    while waiting:
        left = []
        for cell in waiting:
            driven = outputs_of(cell, value)
            if driven is None:
                left.append(cell)
            else:
                nets.update({cell["connections"][port][0]: bit for port, bit in driven.items()})
        assert len(left) < len(waiting), "a loop, or a cell that the test does not know"
        waiting = left
    return sum(nets[bit] << place for place, bit in enumerate(module["ports"]["o"]["bits"]) if bit != "x")


@pytest.mark.parametrize("name", SUMS)
def test_a_trimmed_netlist_does_the_same(tmp_path: Path, name: str) -> None:
    content = netlist(tmp_path, SUMS[name])
    changed = copy.deepcopy(content)
    trimmed = trim(changed, "dut")
    before, after = content["modules"]["dut"], changed["modules"]["dut"]
    chains = [cell["connections"] for cell in after["cells"].values() if cell["type"] == "CCU2C"]
    assert not any(ports["CIN"][0] in ("0", "1") for ports in chains)
    assert trimmed.carries_in == sum(ports["CIN"] == ["x"] for ports in chains)
    assert (trimmed.carries_in > 0) == (name != "with_carry")
    heard = set(after["ports"]["o"]["bits"])
    for cell in after["cells"].values():
        heard |= {bits[0] for port, bits in cell["connections"].items() if cell["port_directions"][port] == "input"}
    assert all(ports["COUT"] == ["x"] or ports["COUT"][0] in heard for ports in chains)
    assert trimmed.carries_out == sum(ports["COUT"] == ["x"] for ports in chains)
    assert (trimmed.carries_out > 0) == (name != "comparison")
    random = Random(1)
    seen = set()
    for _ in range(300):
        inputs = {"a": random.getrandbits(12), "b": random.getrandbits(12), "c": random.getrandbits(12)}
        inputs["ci"] = random.getrandbits(1)
        expected = evaluate(before, inputs, 0)
        assert [evaluate(after, inputs, open_carry) for open_carry in (0, 1)] == [expected, expected]
        seen.add(expected)
    assert len(seen) > (1 if name == "comparison" else 100)


@pytest.mark.parametrize(
    ("changes", "begins"),
    [
        ({}, True),
        ({"INJECT1_1": "YES"}, True),
        ({"INJECT1_0": "YES"}, False),
        ({"C0": [5]}, False),
        ({"D0": [5]}, False),
    ],
)
def test_a_chain_begins_where_its_first_half_is_an_addition(changes: dict[str, Any], begins: bool) -> None:
    """Without injection, and with its inputs C and D constant: only then does its carry fit the LUT of two inputs."""
    ports = {"A0": [2], "B0": [3], "A1": [2], "B1": [3], "CIN": ["0"], "COUT": [4], "S0": [6], "S1": [7]}
    ports |= {name: ["1"] for name in ("C0", "D0", "C1", "D1")}
    parameters = {"INIT0": "1001011010101010", "INIT1": "1001011010101010", "INJECT1_0": "NO", "INJECT1_1": "NO"}
    for name, value in changes.items():
        (parameters if name in parameters else ports)[name] = value
    directions = {name: "output" if name[0] == "S" or name == "COUT" else "input" for name in ports}
    cell = {"type": "CCU2C", "connections": ports, "parameters": parameters, "port_directions": directions}
    outside = {"y": {"direction": "output", "bits": [4, 6, 7]}}
    content = {"modules": {"dut": {"cells": {"chain": cell}, "ports": outside}}}
    before = copy.deepcopy(cell)
    assert trim(content, "dut").carries_in == begins
    assert (cell == before) != begins
    assert len(content["modules"]["dut"]["cells"]) == 1 + begins
