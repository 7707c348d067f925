#!/bin/sh
# Yosys 0.64 gives a product of two 2-bit numbers a whole DSP block: `synth_ecp5` makes it a MULT18X18D, of which the
# largest ECP5 has 156, where four LUT4 do. Each family begins elsewhere.
# Found 2026-11-30, Python 3.11, pyosys 0.64.
#
# Seen, smallest N of a registered, signed N x N product that takes a DSP block: ECP5 2, GateMate 2, Nexus 4, Gowin GW1N
# 4, 7 series 5, iCE40 with `-dsp` 6; none up to 8 on GW5A, MachXO2, Efinix and iCE40 without `-dsp`. Unsigned on ECP5
# alike.
#
# Exits with 0 while it is so, and with 1 when another width begins somewhere.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pyosys==0.64'
cat > "$folder/measure.py" <<'PY'
import json
import sys

from pyosys import libyosys

SEEN = {"ecp5": 2, "gatemate": 2, "nexus": 4, "gowin -family gw1n": 4, "xilinx": 5, "ice40 -dsp": 6, "ice40": None,
        "gowin -family gw5a": None, "lattice -family xo2": None, "efinix": None}  # fmt: skip


def takes_a_block(command, bits, sign="signed"):
    with open("product.v", "w") as file:
        file.write(f"""module product(input clk, input {sign} [{bits - 1}:0] a, b,
  output reg {sign} [{2 * bits - 1}:0] p);
  always @(posedge clk) p <= a * b;
endmodule""")
    design = libyosys.Design()
    for step in ("read_verilog product.v", f"{command} -top product", "tee -o stat.json stat -json"):
        libyosys.run_pass(step, design)
    with open("stat.json") as file:
        cells = json.load(file)["design"]["num_cells_by_type"]
    return any(cell.startswith(("MULT", "DSP48", "SB_MAC16", "CC_MULT")) for cell in cells)


found = {}
for family, bits in SEEN.items():
    tried = (8,) if bits is None else (bits - 1, bits) if bits > 2 else (2,)
    found[family] = {n: takes_a_block(f"synth_{family}", n) for n in tried}
unsigned = takes_a_block("synth_ecp5", 2, "")
print(f"DSP block for a product of N x N bits: {found}; unsigned 2 x 2 on ECP5: {unsigned}")
right = all(taken == (n == SEEN[family]) for family, tried in found.items() for n, taken in tried.items())
sys.exit(0 if right and unsigned else 1)
PY
cd "$folder"
status=0
venv/bin/python measure.py > log || status=$?
tail -n 1 log
exit $status
