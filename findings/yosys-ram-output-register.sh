#!/bin/sh
# Yosys 0.64 never uses the output register that block RAMs have: the flip-flops of `q <= m[a]; o <= q` stay outside the
# RAM on ECP5, Nexus, Gowin, MachXO2, iCE40 and 7 series, though all but iCE40's primitive have such a register.
# Found 2026-11-30, Python 3.11, pyosys 0.64.
#
# Seen: a RAM of 512 words of 36 bits takes 36 flip-flops more with that register than without, on each family. nextpnr
# does not move them in either, so the slow clock-to-output of the RAM (5.8 ns on ECP5, speed grade 6) stays in the
# path.
#
# Exits with 0 while it is so, and with 1 when a family absorbs the register.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pyosys==0.64'
cat > "$folder/measure.py" <<'PY'
import json
import sys

from pyosys import libyosys

FAMILIES = ("ecp5", "nexus", "gowin", "lattice -family xo2", "ice40", "xilinx")


def flip_flops(command, registered):
    behind = "always @(posedge clk) o <= q;" if registered else "always @* o = q;"
    with open("ram.v", "w") as file:
        file.write(f"""module ram(input clk, we, input [8:0] a, b, input [35:0] d, output reg [35:0] o);
  (* no_rw_check *) reg [35:0] m [0:511];
  reg [35:0] q;
  always @(posedge clk) begin
    if (we) m[b] <= d;
    q <= m[a];
  end
  {behind}
endmodule""")
    design = libyosys.Design()
    for step in ("read_verilog ram.v", f"{command} -top ram", "tee -o stat.json stat -json"):
        libyosys.run_pass(step, design)
    with open("stat.json") as file:
        cells = json.load(file)["design"]["num_cells_by_type"]
    kinds = ("TRELLIS_FF", "FD1P3", "DFF", "SB_DFF", "FDRE")
    return sum(number for cell, number in cells.items() if cell.startswith(kinds))


more = {f: flip_flops(f"synth_{f}", True) - flip_flops(f"synth_{f}", False) for f in FAMILIES}
print(f"flip-flops that the output register of 36 bits adds: {more}")
sys.exit(0 if set(more.values()) == {36} else 1)
PY
cd "$folder"
status=0
venv/bin/python measure.py > log || status=$?
tail -n 1 log
exit $status
