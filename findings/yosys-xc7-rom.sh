#!/bin/sh
# Yosys 0.64 makes a clocked 256 x 16 ROM a block RAM for ECP5, Nexus, Gowin, MachXO2, iCE40, GateMate, Efinix, Cyclone
# V and EG4, and LUTs for AMD 7 series and PolarFire. It is the same Verilog, `q <= m[a]` with an `initial` block.
# Found 2026-11-30, Python 3.11, pyosys 0.64.
#
# Seen on 7 series: 64 LUT6, 32 MUXF7, 16 MUXF8, 16 FDRE, no RAMB18E1. With `(* rom_style = "block" *)` on the memory it
# is one RAMB18E1 and nothing else; PolarFire then takes one RAM1K20 instead of about 350 cells of logic. On 7 series
# 512 x 16 stays in LUTs too; 1024 x 13 becomes a RAMB18E1 without being asked.
#
# Exits with 0 while it is so, and with 1 when the ROM without an attribute is a block RAM on 7 series too.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pyosys==0.64'
cat > "$folder/measure.py" <<'PY'
import json
import random
import sys

from pyosys import libyosys

random.seed(1)
WORDS = [random.getrandbits(16) for _ in range(256)]
BLOCKS = {"DP16KD", "PDPSC16K", "SPX9", "DP8KC", "SB_RAM40_4K", "CC_BRAM_20K", "EFX_RAM_5K", "MISTRAL_M10K",
          "EG_PHY_BRAM", "RAMB18E1", "RAM1K20"}  # fmt: skip


def verilog(attribute):
    words = "".join(f"    m[{address}] = 16'd{word};\n" for address, word in enumerate(WORDS))
    return f"""module rom(input clk, input [7:0] a, output reg [15:0] q);
  {attribute} reg [15:0] m [0:255];
  initial begin\n{words}  end
  always @(posedge clk) q <= m[a];
endmodule"""


def blocks(command, attribute=""):
    """How many block RAMs the ROM takes."""
    with open("rom.v", "w") as file:
        file.write(verilog(attribute))
    design = libyosys.Design()
    for step in ("read_verilog rom.v", f"{command} -top rom", "tee -o stat.json stat -json"):
        libyosys.run_pass(step, design)
    with open("stat.json") as file:
        cells = json.load(file)["design"]["num_cells_by_type"]
    return sum(number for cell, number in cells.items() if cell in BLOCKS)


families = ("ecp5", "nexus", "gowin", "lattice -family xo2", "ice40", "gatemate", "efinix", "intel_alm", "anlogic",
            "xilinx", "microchip")  # fmt: skip
plain = {family: blocks(f"synth_{family}") for family in families}
asked = {family: blocks(f"synth_{family}", '(* rom_style = "block" *)') for family in ("xilinx", "microchip")}
print(f"block RAMs without an attribute: {plain}; with rom_style: {asked}")
logic = {family for family, number in plain.items() if number == 0}
sys.exit(0 if logic == {"xilinx", "microchip"} and set(asked.values()) == {1} else 1)
PY
cd "$folder"
status=0
venv/bin/python measure.py > log || status=$?
tail -n 1 log
exit $status
