"""Flip-flops packed into block RAM and multipliers: the netlist does the same, in a simulation of its cells."""

import copy
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from latte_hw.config.errors import LatteError
from latte_hw.synth import tools
from latte_hw.synth.register_packing import pack, pack_file

WIDTH = {18: "(* no_rw_check *) reg [17:0] mem[0:1023]", 36: "(* no_rw_check *) reg [35:0] mem[0:511]"}

PIPELINE = """\
module dut(input clk, input we, input [9:0] wa, input [9:0] ra, input [35:0] wd, input [7:0] p, input stop, input rst,
           output reg [25:0] o, output [35:0] r, output [7:0] again);
{memory};
reg [{top}:0] r0, r1, r2; reg [7:0] p0, p1, p2; reg [25:0] m0;
assign r = r2;
assign again = p2;
always @(posedge clk) begin
  if (we) mem[wa] <= wd;
  r0 <= mem[ra]; r1 <= r0; r2 <= r1;
  p0 <= p; p1 <= p0; p2 <= p1;
  {product}
  o <= m0;
end
endmodule
"""
FREE = "m0 <= $signed(r2[17:0]) * $signed({1'b0, p1});"
HELD = "if (!stop) m0 <= $signed(r2[17:0]) * $signed({1'b0, p1});"
CLEARED = "if (rst) m0 <= 0; else m0 <= $signed(r2[17:0]) * $signed({1'b0, p1});"
SHARED = "m0 <= $signed(r0[17:0]) * $signed({1'b0, p1});"


def netlist(folder: Path, width: int, product: str) -> dict[str, Any]:
    text = PIPELINE.format(memory=WIDTH[width], top=width - 1, product=product)
    (folder / "dut.v").write_text(text)
    (folder / "run.ys").write_text("read_verilog dut.v\nsynth_ecp5 -top dut -noiopad\nwrite_json dut.json\n")
    tools.run(tools.YOSYS, ["-s", "run.ys"], folder, ["dut.json"])
    content: dict[str, Any] = json.loads((folder / "dut.json").read_text())
    return content


class Simulation:
    """The cells that the pipeline above is made of, clock cycle by clock cycle."""

    def __init__(self, module: dict[str, Any]) -> None:
        self.cells, self.ports = module["cells"], module["ports"]
        self.state: dict[str, Any] = dict.fromkeys(self.cells, 0)
        self.memory: dict[str, dict[int, int]] = {name: {} for name in self.cells}
        self.nets: dict[Any, int] = {"0": 0, "1": 1, "x": 0}

    def cycle(self, inputs: dict[str, int]) -> dict[str, int]:
        """Outputs before the clock edge; then the edge."""
        for name, value in inputs.items():
            self._drive(self.ports[name]["bits"], value)
        for kind in ("TRELLIS_FF", "DP16KD", "MULT18X18D"):
            for name, cell in self.cells.items():
                if cell["type"] == kind:
                    getattr(self, f"_show_{kind.lower()}")(name, cell)
        outputs = {
            name: self._value(port["bits"]) for name, port in self.ports.items() if port["direction"] == "output"
        }
        self.state = {name: getattr(self, f"_next_{c['type'].lower()}")(name, c) for name, c in self.cells.items()}
        return outputs

    def _value(self, bits: list[Any]) -> int:
        return sum(self.nets.get(bit, 0) << place for place, bit in enumerate(bits))

    def _drive(self, bits: list[Any], value: int) -> None:
        self.nets.update({bit: value >> place & 1 for place, bit in enumerate(bits)})

    def _bus(self, cell: dict[str, Any], prefix: str, first: int, count: int) -> list[Any]:
        return [cell["connections"].get(f"{prefix}{bit}", ["0"])[0] for bit in range(first, count)]

    def _show_trellis_ff(self, name: str, cell: dict[str, Any]) -> None:
        self._drive(cell["connections"]["Q"], self.state[name])

    def _next_trellis_ff(self, name: str, cell: dict[str, Any]) -> int:
        ports, parameters = cell["connections"], cell["parameters"]
        if self._value(ports["LSR"]):
            return 0
        if parameters["CEMUX"] == "CE" and not self._value(ports["CE"]):
            return int(self.state[name])
        if parameters["CEMUX"] == "INV" and self._value(ports["CE"]):
            return int(self.state[name])
        return self._value(ports["M" if parameters.get("SD") == "0" else "DI"])

    def _width(self, cell: dict[str, Any]) -> int:
        return int(cell["parameters"]["DATA_WIDTH_B"], 2)

    def _show_dp16kd(self, name: str, cell: dict[str, Any]) -> None:
        latched, registered = self.state[name] or (0, 0)
        inside = cell["parameters"]["REGMODE_B"] == "OUTREG"
        word = registered if inside else latched
        if self._width(cell) == 36:  # the upper half of a word comes out of port B's pins, the lower one of port A's
            assert cell["parameters"]["REGMODE_A"] == cell["parameters"]["REGMODE_B"]
            self._drive(self._bus(cell, "DOA", 0, 18), word)
            word >>= 18
        self._drive(self._bus(cell, "DOB", 0, 18), word)

    def _next_dp16kd(self, name: str, cell: dict[str, Any]) -> tuple[int, int]:
        wide = self._width(cell) == 36
        low = 5 if wide else 4
        read = self._value(self._bus(cell, "ADB", low, 14))
        latched = self.memory[name].get(read, 0), (self.state[name] or (0, 0))[0]
        if self._value(cell["connections"]["WEA"]) and self._value(cell["connections"]["CEA"]):
            written = self._value(self._bus(cell, "DIA", 0, 18))
            if wide:
                written |= self._value(self._bus(cell, "DIB", 0, 18)) << 18
            self.memory[name][self._value(self._bus(cell, "ADA", low, 14))] = written
        return latched

    def _factors(self, cell: dict[str, Any]) -> tuple[int, int]:
        values = []
        for side in "AB":
            value = self._value(self._bus(cell, side, 0, 18))
            signed = self._value(cell["connections"][f"SIGNED{side}"])
            values.append(value - (1 << 18) if signed and value >> 17 else value)
        return values[0], values[1]

    def _show_mult18x18d(self, name: str, cell: dict[str, Any]) -> None:
        self._drive(self._bus(cell, "P", 0, 36), self._product(name, cell, "OUTPUT") & (1 << 36) - 1)

    def _product(self, name: str, cell: dict[str, Any], output: str | None) -> int:
        factors, product = self.state[name] or ((0, 0), 0)
        if output is not None and f"REG_{output}_CLK" in cell["parameters"]:
            return int(product)
        a, b = factors if "REG_INPUTA_CLK" in cell["parameters"] else self._factors(cell)
        return int(a * b)

    def _next_mult18x18d(self, name: str, cell: dict[str, Any]) -> tuple[tuple[int, int], int]:
        return self._factors(cell), self._product(name, cell, None)


def outputs(content: dict[str, Any], cycles: int = 200) -> list[dict[str, int]]:
    random, simulation = Random(1), Simulation(content["modules"]["dut"])
    words = {
        "we": 1,
        "wa": 3,
        "ra": 3,
        "wd": 36,
        "p": 8,
        "stop": 1,
        "rst": 1,
    }  # few places: reads find what was written
    return [simulation.cycle({name: random.getrandbits(bits) for name, bits in words.items()}) for _ in range(cycles)]


@pytest.mark.parametrize(
    ("width", "product", "packed"),
    [
        (18, FREE, (1, 1, 1)),
        (36, FREE, (1, 1, 1)),
        (18, HELD, (1, 0, 1)),  # a flip-flop with clock enable stays
        (18, CLEARED, (1, 0, 1)),  # one with a reset, too
        (18, SHARED, (0, 1, 0)),  # nor can what two listen to
    ],
)
def test_a_packed_netlist_does_the_same(tmp_path: Path, width: int, product: str, packed: tuple[int, int, int]) -> None:
    content = netlist(tmp_path, width, product)
    kinds = {cell["type"] for cell in content["modules"]["dut"]["cells"].values()}
    if not kinds <= {"TRELLIS_FF", "DP16KD", "MULT18X18D"}:
        pytest.fail(f"the test's simulation does not know {kinds}")
    before = outputs(content)
    assert len({tuple(step.values()) for step in before}) > 100
    changed = copy.deepcopy(content)
    done = pack(changed, "dut")
    assert (done.block_rams, done.products, done.factors) == packed
    flip_flops = [
        sum(c["type"] == "TRELLIS_FF" for c in x["modules"]["dut"]["cells"].values()) for x in (content, changed)
    ]
    assert done.flip_flops == flip_flops[0] - flip_flops[1]
    assert outputs(changed) == before


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "netlist .*in.json cannot be read: No such file"),
        ("{", "netlist .*in.json is not JSON"),
        ("[]", "netlist .*in.json must hold a JSON object of fields"),
        ('{"modules": {"other": {}}}', "netlist .*in.json has no module dut: give what write_json of Yosys wrote"),
    ],
)
def test_files_that_are_no_netlists(tmp_path: Path, content: str | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / "in.json").write_text(content)
    with pytest.raises(LatteError, match=sentence):
        pack_file(tmp_path / "in.json", "dut", tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()
