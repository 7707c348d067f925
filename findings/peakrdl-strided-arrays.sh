#!/bin/sh
# A SystemRDL array of registers whose stride is larger than the register compiles, and PeakRDL's exporters disagree on
# it: IP-XACT (3.5.0) and C header (1.1.0) refuse it, regblock (1.3.1), UVM (2.4.0) and SystemRDL (1.0.1) take it. The
# same registers as an array of regfiles with one register each, at the same addresses, pass everywhere.
# Found 2026-11-30, Python 3.11, systemrdl-compiler 1.33.0.
#
# Seen: "IP-XACT does not support register arrays whose stride is larger then the register's size" (the C header's
# message is alike), although IP-XACT has strides of its own for the array of regfiles, which it writes without
# complaint.
#
# Exits with 0 while it is so, and with 1 when an exporter changes sides.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'systemrdl-compiler==1.33.0' 'peakrdl-ipxact==3.5.0' \
  'peakrdl-cheader==1.1.0' 'peakrdl-regblock==1.3.1' 'peakrdl-uvm==2.4.0' 'peakrdl-systemrdl==1.0.1'
cat > "$folder/registers.rdl" <<'RDL'
addrmap registers {
  reg { field { sw = rw; hw = r; } limit[31:0] = 0; } head[4] @ 0x0 += 8;
};
RDL
cat > "$folder/regfiles.rdl" <<'RDL'
addrmap regfiles {
  regfile { reg { field { sw = rw; hw = r; } limit[31:0] = 0; } only; } head[4] @ 0x0 += 8;
};
RDL
cat > "$folder/measure.py" <<'PY'
import contextlib
import io
import sys

from peakrdl_cheader.exporter import CHeaderExporter
from peakrdl_ipxact import IPXACTExporter
from peakrdl_regblock import RegblockExporter
from peakrdl_regblock.cpuif.passthrough import PassthroughCpuif
from peakrdl_regblock.udps import ALL_UDPS
from peakrdl_systemrdl import SystemRDLExporter
from peakrdl_uvm import UVMExporter
from systemrdl import RDLCompiler
from systemrdl.messages import RDLCompileError

EXPORTERS = {
    "ipxact": lambda root: IPXACTExporter().export(root, "out.xml"),
    "cheader": lambda root: CHeaderExporter().export(root, "out.h"),
    "regblock": lambda root: RegblockExporter().export(root, "out", cpuif_cls=PassthroughCpuif),
    "uvm": lambda root: UVMExporter().export(root, "out.sv"),
    "systemrdl": lambda root: SystemRDLExporter().export(root, "out.rdl"),
}


def takes(name, file):
    compiler = RDLCompiler()
    for udp in ALL_UDPS:
        compiler.register_udp(udp)
    compiler.compile_file(file)
    root = compiler.elaborate()
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            EXPORTERS[name](root)
    except RDLCompileError:
        return False
    return True


registers = {name: takes(name, "registers.rdl") for name in EXPORTERS}
regfiles = {name: takes(name, "regfiles.rdl") for name in EXPORTERS}
print(f"array of registers taken by: {registers}; array of regfiles: {regfiles}")
refused = {name for name, taken in registers.items() if not taken}
sys.exit(0 if refused == {"ipxact", "cheader"} and all(regfiles.values()) else 1)
PY
cd "$folder"
venv/bin/python measure.py
