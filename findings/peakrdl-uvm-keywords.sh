#!/bin/sh
# SystemRDL takes `table`, `final`, `class` or `import` as the name of a register. PeakRDL-regblock 1.3.1 writes
# SystemVerilog that parses for each of them; PeakRDL-uvm 2.4.0 copies the name, and the file it writes is not
# SystemVerilog.
# Found 2026-11-30, Python 3.11, systemrdl-compiler 1.33.0, pyslang 12.1.0.
#
# Seen: `rand registers__table table;` in the UVM file, without a warning from the exporter; pyslang finds errors in
# each of the four files, and none for the name `lookup`. A register map meant for UVM needs names of its own.
#
# Exits with 0 while it is so, and with 1 when UVM output of such a name parses, or regblock's does not.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'systemrdl-compiler==1.33.0' \
  'peakrdl-regblock==1.3.1' 'peakrdl-uvm==2.4.0' 'pyslang==12.1.0'
cat > "$folder/measure.py" <<'PY'
import sys
from pathlib import Path

import pyslang
from peakrdl_regblock import RegblockExporter
from peakrdl_regblock.cpuif.passthrough import PassthroughCpuif
from peakrdl_regblock.udps import ALL_UDPS
from peakrdl_uvm import UVMExporter
from systemrdl import RDLCompiler

NAMES = ("lookup", "table", "final", "class", "import")


def compiled(name):
    Path("map.rdl").write_text(
        f"addrmap registers {{ reg {{ field {{ sw = rw; hw = r; }} value[31:0] = 0; }} {name} @ 0; }};"
    )
    compiler = RDLCompiler()
    for udp in ALL_UDPS:
        compiler.register_udp(udp)
    compiler.compile_file("map.rdl")
    return compiler.elaborate()


def parses(text):
    """Whether text is SystemVerilog by its grammar; the UVM macros it uses are none of the question."""
    macro = "`uvm_object_utils"
    lines = [line for line in text.splitlines() if "uvm_macros.svh" not in line and macro not in line]
    tree = pyslang.syntax.SyntaxTree.fromText("\n".join(lines))
    return not any(problem.isError() for problem in tree.diagnostics)


seen = {}
for name in NAMES:
    RegblockExporter().export(compiled(name), "block", cpuif_cls=PassthroughCpuif, module_name="registers")
    UVMExporter().export(compiled(name), "uvm.sv")
    texts = [Path(file).read_text() for file in ("block/registers_pkg.sv", "block/registers.sv", "uvm.sv")]
    seen[name] = (parses(texts[0]) and parses(texts[1]), parses(texts[2]))
print(f"regblock's and UVM's output parses: {seen}")
sys.exit(0 if seen == {name: (True, name == "lookup") for name in NAMES} else 1)
PY
cd "$folder"
venv/bin/python measure.py
