"""Moves flip-flops of an ECP5 netlist into the registers that its block RAM and multipliers have inside.

Yosys leaves these unused, and a net from a block RAM to its first flip-flop, or from a flip-flop through a multiplier
to the next, is then as long as the placer makes it. Vendors' tools pack them; this does it between Yosys and nextpnr::

    python -m latte_hw.synth.register_packing netlist.json latte_head packed.json

The netlist does the same in every cycle. Packed are flip-flops of the same clock without clock enable and reset:

* behind every bit of a DP16KD's read port that is used (REGMODE), if nothing else listens to the RAM;
* behind every bit of a MULT18X18D's product that is used (REG_OUTPUT), likewise;
* before every bit of both factors of a MULT18X18D (REG_INPUTA, REG_INPUTB). One that others listen to stays for them.

Source: Lattice TN1264 (sysMEM) and TN1267 (sysDSP); names of cells and parameters as in Yosys's ECP5 library.
"""

import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latte_hw.config.errors import LatteError
from latte_hw.config.json_file import read_object
from latte_hw.host import terminal

Bit = int | str
"""A net's number, or a constant: "0", "1" or "x"."""

FACTOR_BITS = 18
PRODUCT_BITS = 36


@dataclass
class Packed:
    """What was packed: cells whose registers are in use now, and flip-flops that are gone."""

    block_rams: int = 0
    products: int = 0
    factors: int = 0
    flip_flops: int = 0


@dataclass
class _Module:
    """One flat module, and who listens to which net."""

    cells: dict[str, Any]
    outside: set[Bit]  # nets of its ports
    listeners: dict[Bit, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))  # (cell, port)
    flip_flop_of: dict[Bit, str] = field(default_factory=dict)  # by its output

    def __post_init__(self) -> None:
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] == "output":
                    if port == "Q" and cell["type"] == "TRELLIS_FF":
                        self.flip_flop_of[bits[0]] = name
                else:
                    for bit in bits:
                        self.listeners[bit].add((name, port))

    def behind(self, bit: Bit, clock: Bit) -> str | None:
        """The flip-flop that alone listens to a net, if it can be packed."""
        listeners = self.listeners[bit]
        if bit in self.outside or len(listeners) != 1:
            return None
        name, port = next(iter(listeners))
        return name if port == _data_port(self.cells[name]) and _plain(self.cells[name], clock) else None

    def before(self, bit: Bit, clock: Bit) -> str | None:
        """The flip-flop that drives a net, if it can be packed."""
        name = self.flip_flop_of.get(bit)
        return name if name is not None and _plain(self.cells[name], clock) else None

    def listen(self, name: str, port: str, bit: Bit) -> None:
        """Connect an input to another net."""
        cell = self.cells[name]["connections"]
        self.listeners[cell[port][0]].discard((name, port))
        cell[port] = [bit]
        self.listeners[bit].add((name, port))

    def remove(self, name: str) -> None:
        for port, bits in self.cells.pop(name)["connections"].items():
            self.listeners[bits[0]].discard((name, port))


def pack(netlist: dict[str, Any], top: str) -> Packed:
    """Pack the flat module `top` of a netlist of Yosys's `write_json`, in place."""
    source = netlist["modules"][top]
    module = _Module(source["cells"], {bit for port in source["ports"].values() for bit in port["bits"]})
    packed = Packed()
    before = len(module.cells)
    for name, cell in list(module.cells.items()):
        if cell["type"] == "DP16KD":
            packed.block_rams += _pack_block_ram(module, cell)
        elif cell["type"] == "MULT18X18D":
            product, factors = _pack_multiplier(module, name, cell)
            packed.products += product
            packed.factors += factors
    for name in [name for name, cell in module.cells.items() if cell["type"] == "TRELLIS_FF"]:
        output = module.cells[name]["connections"]["Q"][0]
        if output not in module.outside and not module.listeners[output]:
            module.remove(name)
    packed.flip_flops = before - len(module.cells)
    return packed


def _pack_block_ram(module: _Module, cell: dict[str, Any]) -> bool:
    """A RAM with a read port at A, at B, or at both; a word of 36 bits comes out of both by the clock of B."""
    ports = cell["connections"]
    if int(cell["parameters"]["DATA_WIDTH_B"], 2) == 36:
        return _pack_read_port(module, cell, "AB", ports["CLKB"][0])
    sides = [_pack_read_port(module, cell, side, ports[f"CLK{side}"][0]) for side in "AB"]
    return any(sides)


def _pack_read_port(module: _Module, cell: dict[str, Any], sides: str, clock: Bit) -> bool:
    ports = cell["connections"]
    outputs = [port for port in ports if port[:2] == "DO" and port[2] in sides and module.listeners[ports[port][0]]]
    if not outputs or not _replace_listeners(module, cell, outputs, clock):
        return False
    for side in sides:
        cell["parameters"][f"REGMODE_{side}"] = "OUTREG"
        ports[f"OCE{side}"] = ["1"]
    return True


def _pack_multiplier(module: _Module, name: str, cell: dict[str, Any]) -> tuple[bool, bool]:
    ports = cell["connections"]
    outputs = [port for port in (f"P{bit}" for bit in range(PRODUCT_BITS)) if module.listeners[ports[port][0]]]
    clocks = {
        module.cells[listener]["connections"]["CLK"][0]
        for port in outputs
        for listener, _ in module.listeners[ports[port][0]]
        if module.cells[listener]["type"] == "TRELLIS_FF"
    }
    if len(clocks) != 1:
        return False, False
    (clock,) = clocks
    product = _replace_listeners(module, cell, outputs, clock)
    factors = _move_before(module, name, cell, clock)
    registers = [*(["OUTPUT"] if product else []), *(["INPUTA", "INPUTB"] if factors else [])]
    for register in registers:
        for signal, pin in (("CLK", "CLK0"), ("CE", "CE0"), ("RST", "RST0")):
            cell["parameters"][f"REG_{register}_{signal}"] = pin
    if registers:
        for pin, net in (("CLK0", clock), ("CE0", "1"), ("RST0", "0")):
            cell["port_directions"][pin], ports[pin] = "input", [net]
    return product, factors


def _move_before(module: _Module, name: str, cell: dict[str, Any], clock: Bit) -> bool:
    """Let both factors listen to what their flip-flops listen to. Constants stay."""
    ports = cell["connections"]
    moves = {}
    for port in (f"{factor}{bit}" for factor in "AB" for bit in range(FACTOR_BITS)):
        bit = ports.get(port, ["0"])[0]
        if isinstance(bit, int):
            register = module.before(bit, clock)
            if register is None:
                return False
            data = module.cells[register]
            moves[port] = data["connections"][_data_port(data)][0]
    for port, bit in moves.items():
        module.listen(name, port, bit)
    return True


def _replace_listeners(module: _Module, cell: dict[str, Any], outputs: list[str], clock: Bit) -> bool:
    """Drive what the flip-flops behind all `outputs` drive; unless one of them cannot be packed."""
    ports = cell["connections"]
    registers = {port: module.behind(ports[port][0], clock) for port in outputs}
    if None in registers.values():
        return False
    for port, register in registers.items():
        assert register is not None
        output = module.cells[register]["connections"]["Q"]
        module.remove(register)
        module.flip_flop_of.pop(output[0])
        ports[port] = output
    return True


def _data_port(cell: dict[str, Any]) -> str:
    """Where a flip-flop takes its data: DI, or M past the LUT."""
    return "M" if cell["parameters"].get("SD") == "0" else "DI"


def _plain(cell: dict[str, Any], clock: Bit) -> bool:
    """A flip-flop of this clock without clock enable and reset, which starts at 0 as the packed ones do."""
    if cell["type"] != "TRELLIS_FF":
        return False
    parameters, ports = cell["parameters"], cell["connections"]
    always = parameters["CEMUX"].strip() == "1" or ports.get("CE") == ["1"]
    rising = parameters["CLKMUX"] == "CLK" and ports["CLK"] == [clock]
    never_reset = ports["LSR"] == ["0"] and parameters["LSRMUX"] == "LSR"
    return always and rising and never_reset and parameters["REGSET"] == "RESET"


def pack_file(source: Path, top: str, packed_file: Path) -> Packed:
    """Pack a netlist in a file into another; :class:`LatteError` when the first is none, or has no such module."""
    content = read_object(source, "netlist", most_bytes=None)
    if top not in content.get("modules", {}):
        raise LatteError(f"netlist {source} has no module {top}: give what write_json of Yosys wrote, and its top")
    packed = pack(content, top)
    packed_file.write_text(json.dumps(content))
    return packed


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python -m latte_hw.synth.register_packing NETLIST.json TOP PACKED.json")
    terminal.run(lambda: print(pack_file(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))))
