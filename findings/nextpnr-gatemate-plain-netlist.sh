#!/bin/sh
# What Yosys 0.64 makes with a plain `synth_gatemate` cannot be placed by nextpnr 0.11.1: it maps to CC_LUT3 and
# CC_LUT4, and nextpnr-himbaechel-gatemate stops with "Cell type 'CC_LUT3' is unsupported". It takes the netlist of
# `synth_gatemate -luttree`, an option that Yosys's help calls experimental.
# Found 2026-11-30, Python 3.11, yowasp-nextpnr-himbaechel-gatemate 0.11.1.0.post826, pyosys 0.64.
#
# Seen on CCGM1A1 with the exclusive or of four majorities of three flip-flops each. A netlist that happens to need LUTs
# of two inputs alone passes either way, so that small tests do not show it.
#
# Exits with 0 while it is so, and with 1 when the plain netlist is taken, or that of `-luttree` is not.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pyosys==0.64' \
  'yowasp-nextpnr-himbaechel-gatemate==0.11.1.0.post826'
cat > "$folder/netlist.py" <<'PY'
import sys

from pyosys import libyosys

design = libyosys.Design()
for step in ("read_verilog top.v", f"synth_gatemate {' '.join(sys.argv[1:])} -top top", "write_json top.json"):
    libyosys.run_pass(step, design)
PY
cd "$folder"
export YOWASP_CACHE_DIR=cache
cat > top.v <<'V'
module top(input clk, d, output reg z);
  reg [11:0] s;
  wire [3:0] most;
  genvar i;
  generate for (i = 0; i < 4; i = i + 1) begin : of
    assign most[i] = s[3*i] & s[3*i+1] | s[3*i+1] & s[3*i+2] | s[3*i] & s[3*i+2];
  end endgenerate
  always @(posedge clk) begin s <= {s, d}; z <= ^most; end
endmodule
V
place() {
  venv/bin/yowasp-nextpnr-himbaechel-gatemate --device CCGM1A1 --vopt allow-unconstrained --json top.json \
    --write out.json > nextpnr.log 2>&1
}
venv/bin/python netlist.py > yosys.log
if place; then echo 'the plain netlist is taken'; exit 1; fi
grep "Cell type 'CC_LUT. is unsupported" nextpnr.log || grep 'is unsupported' nextpnr.log
venv/bin/python netlist.py -luttree > yosys.log
place
echo 'taken with -luttree'
