"""Frees the cells of an ECP5 netlist that only lead constant carries into chains and unused ones out of them.

nextpnr begins a chain whose carry-in is connected, if only to 0, with a cell that leads it in, and ends one whose
carry-out is connected, if only to a net without a listener, with a cell that leads it out: four LUTs for an addition of
a few bits. This takes both connections away, between Yosys and nextpnr. The netlist does the same in every cycle.

A CCU2C without a carry-in must not depend on it. With P the first half's LUT of four inputs, G that of the two inputs
A0 and B0, the half gives::

    S0 = P xor CIN,    carry to the second half = CIN if P else G

For a constant CIN, P becomes 0 and G the carry, a function of A0 and B0 as long as C0 and D0 are constants, and a LUT
beside the chain gives S0.

Source: the cell CCU2C in Yosys's ECP5 library; nextpnr's own lead-in, which uses G in the same way.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import product
from typing import Any

INPUTS = "ABCD"
UNCONNECTED = ["x"]


@dataclass
class Trimmed:
    """Chains whose constant carry-in or unused carry-out is gone."""

    carries_in: int = 0
    carries_out: int = 0


def trim(netlist: dict[str, Any], top: str) -> Trimmed:
    """Trim the flat module `top` of a netlist of Yosys's `write_json`, in place."""
    module = netlist["modules"][top]
    cells: dict[str, Any] = module["cells"]
    used = Counter(bit for port in module["ports"].values() for bit in port["bits"])
    for cell in cells.values():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] != "output":
                used.update(bits)
    trimmed = Trimmed()
    for name, cell in list(cells.items()):
        if cell["type"] != "CCU2C":
            continue
        ports = cell["connections"]
        if not used[ports["COUT"][0]]:
            ports["COUT"] = UNCONNECTED
            trimmed.carries_out += 1
        if ports["CIN"][0] in ("0", "1") and _may_begin(cell):
            if used[ports["S0"][0]]:
                cells[f"{name}_first"] = _first_sum(cell)
            _begin(cell)
            trimmed.carries_in += 1
    return trimmed


def _may_begin(cell: dict[str, Any]) -> bool:
    constants = all(cell["connections"][f"{pin}0"][0] in ("0", "1") for pin in "CD")
    return constants and cell["parameters"]["INJECT1_0"] == "NO"


def _first_sum(cell: dict[str, Any]) -> dict[str, Any]:
    """The LUT that gives `S0` of a cell with a constant carry-in."""
    ports, table = cell["connections"], cell["parameters"]["INIT0"]
    if ports["CIN"] == ["1"]:
        table = "".join("10"[int(bit)] for bit in table)
    directions: dict[str, str] = dict.fromkeys(INPUTS, "input") | {"Z": "output"}
    return {
        "hide_name": 0,
        "type": "LUT4",
        "parameters": {"INIT": table},
        "attributes": {},
        "port_directions": directions,
        "connections": {pin: ports[f"{pin}0"] for pin in INPUTS} | {"Z": ports["S0"]},
    }


def _begin(cell: dict[str, Any]) -> None:
    """Make the first half give its carry whatever CIN is."""
    ports, parameters = cell["connections"], cell["parameters"]
    table = [int(bit) for bit in reversed(parameters["INIT0"])]
    carry_in, (c, d) = int(ports["CIN"][0]), (int(ports[f"{pin}0"][0]) for pin in "CD")
    carries = [carry_in if table[a + 2 * b + 4 * c + 8 * d] else table[a + 2 * b] for b, a in product((0, 1), repeat=2)]
    parameters["INIT0"] = "0" * 12 + "".join(str(bit) for bit in reversed(carries))
    ports.update({"C0": ["1"], "D0": ["1"], "CIN": UNCONNECTED, "S0": UNCONNECTED})
