#!/bin/sh
# Yosys 0.64 puts RAMs of very different depth into block RAM, by family: an 8-bit RAM of 16 words becomes a whole
# 4-kbit block on iCE40 and one of 8 words a 5-kbit block on Efinix, while 7 series keeps 256 words in LUTs.
# Found 2026-11-30, Python 3.11, pyosys 0.64.
#
# Seen, smallest depth of 2, 4, 8, ... 1024 (simple dual port, clocked read, 8 bits): Efinix 8, iCE40 16, GateMate 32,
# Cyclone V 64, MachXO2 128, EG4 128, ECP5 256, Nexus 256, Gowin 256, 7 series 512.
#
# Exits with 0 while that depth is in block RAM and half of it is not, on each family, and with 1 otherwise.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pyosys==0.64'
cat > "$folder/measure.py" <<'PY'
import json
import sys

from pyosys import libyosys

SEEN = {"efinix": 8, "ice40": 16, "gatemate": 32, "intel_alm": 64, "lattice -family xo2": 128, "anlogic": 128,
        "ecp5": 256, "nexus": 256, "gowin": 256, "xilinx": 512}  # fmt: skip
BLOCKS = {"DP16KD", "PDPSC16K", "DPX9B", "SDPX9B", "DP8KC", "SB_RAM40_4K", "CC_BRAM_20K", "EFX_RAM_5K",
          "MISTRAL_M10K", "EG_PHY_BRAM", "RAMB18E1"}  # fmt: skip


def in_block_ram(command, depth):
    bits = depth.bit_length() - 1
    with open("ram.v", "w") as file:
        file.write(f"""module ram(input clk, we, input [{bits - 1}:0] a, b, input [7:0] d, output reg [7:0] q);
  reg [7:0] m [0:{depth - 1}];
  always @(posedge clk) begin
    if (we) m[b] <= d;
    q <= m[a];
  end
endmodule""")
    design = libyosys.Design()
    for step in ("read_verilog ram.v", f"{command} -top ram", "tee -o stat.json stat -json"):
        libyosys.run_pass(step, design)
    with open("stat.json") as file:
        return bool(BLOCKS & json.load(file)["design"]["num_cells_by_type"].keys())


found = {f: (in_block_ram(f"synth_{f}", depth // 2), in_block_ram(f"synth_{f}", depth)) for f, depth in SEEN.items()}
print(f"in block RAM at half the depth and at the depth of {SEEN}: {found}")
sys.exit(0 if set(found.values()) == {(False, True)} else 1)
PY
cd "$folder"
status=0
venv/bin/python measure.py > log || status=$?
tail -n 1 log
exit $status
