#!/bin/sh
# In Icarus Verilog 11 the initial value in a declaration, `reg zero = 0;`, is an event at time 0 as Verilog and none as
# SystemVerilog: a block `always @*` that reads nothing else runs once, or never, and what it drives stays X. Both
# follow their standard; Verilog generators that write such blocks (Yosys's `write_verilog` of processes does) meet
# both.
# Found 2026-11-30, Icarus Verilog 11.0 (Debian 12). Needs iverilog on PATH: there is no wheel of it.
#
# Seen for `reg zero = 0; always @* begin q = 4'd5; if (zero) q = 4'd9; end`: 5 with no `-g` and with -g2005, X with
# -g2005-sv, -g2009 and -g2012. `assign` of the same expression gives 5 at every level. cocotb's makefile asks for
# -g2012.
#
# Exits with 0 while it is so, and with 1 when the levels agree (or without iverilog).
set -eu
command -v iverilog > /dev/null || { echo 'iverilog is not installed'; exit 1; }
iverilog -V 2> /dev/null | head -n 1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/bench.v" <<'V'
module bench;
  reg zero = 0;
  reg [3:0] q;
  wire [3:0] r;
  always @* begin q = 4'd5; if (zero) q = 4'd9; end
  assign r = zero ? 4'd9 : 4'd5;
  initial #10 $display("%b %b", q, r);
endmodule
V
for level in '' -g2005 -g2005-sv -g2009 -g2012; do
  # shellcheck disable=SC2086
  iverilog $level -o "$folder/bench" "$folder/bench.v"
  seen=$(vvp "$folder/bench")
  echo "${level:-default}: $seen"
  case $level in
    '' | -g2005) test "$seen" = '0101 0101' ;;
    *) test "$seen" = 'xxxx 0101' ;;
  esac
done
