"""Spares an ECP5 netlist the wires that lead a constant to address bits of LUT RAM that no one uses.

A LUT RAM has 16 words. Where fewer are used, Yosys ties the address bits left over to 0, and nextpnr leads that 0 from
one LUT to thousands of pins all over the chip. Tied to the next lower address bit instead, for writes and reads alike,
every word lies in another place, but again in one of its own; the wire goes no farther than that of the lower bit.

Source: the cell TRELLIS_DPR16X4 in Yosys's ECP5 library: write address WAD, read address RAD, four bits each.
"""

from typing import Any

ADDRESS_BITS = 4


def spare(netlist: dict[str, Any], top: str) -> int:
    """Tie the address bits in the flat module `top` of a netlist of Yosys's `write_json`, in place; returns how many
    pairs of a write and a read address bit."""
    spared = 0
    for cell in netlist["modules"][top]["cells"].values():
        if cell["type"] != "TRELLIS_DPR16X4" or not _starts_empty(cell):
            continue
        write, read = cell["connections"]["WAD"], cell["connections"]["RAD"]
        for bit in range(1, ADDRESS_BITS):
            if write[bit] == read[bit] == "0" and read[bit - 1] != "0":
                write[bit], read[bit] = write[bit - 1], read[bit - 1]
                cell["parameters"]["INITVAL"] = "0" * len(cell["parameters"]["INITVAL"])
                spared += 1
    return spared


def _starts_empty(cell: dict[str, Any]) -> bool:
    """Words that change places must all hold the same at first."""
    return set(cell["parameters"]["INITVAL"]) <= set("0x")
