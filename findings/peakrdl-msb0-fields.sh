#!/bin/sh
# One SystemRDL field in a map with `msb0`, `v[0:7]` with reset 0x35, means four things in PeakRDL's exporters.
# Found 2026-11-30, Python 3.11, systemrdl-compiler 1.33.0.
#
# Seen: regblock 1.3.1 swaps the bits on the bus, so a read after reset gives 0xac in bits 7 to 0. C header 1.1.0 and
# IP-XACT (1685-2014) say 0x35 in bits 7 to 0. IP-XACT 1685-2009 says bits 7 to 0, but resets the register to 0x1a80
# under the mask 0x7f80. UVM 2.4.0 lays a field of 8 bits at bit 7. None warns. Without `msb0` all agree.
#
# Exits with 0 while it is so, and with 1 when one of them reads the field otherwise.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'systemrdl-compiler==1.33.0' 'peakrdl-ipxact==3.5.0' \
  'peakrdl-cheader==1.1.0' 'peakrdl-regblock==1.3.1' 'peakrdl-uvm==2.4.0'
cat > "$folder/measure.py" <<'PY'
import re
import sys
from pathlib import Path

from peakrdl_cheader.exporter import CHeaderExporter
from peakrdl_ipxact import IPXACTExporter, Standard
from peakrdl_regblock import RegblockExporter
from peakrdl_regblock.cpuif.passthrough import PassthroughCpuif
from peakrdl_regblock.udps import ALL_UDPS
from peakrdl_uvm import UVMExporter
from systemrdl import RDLCompiler


def compiled(order, bits):
    Path("map.rdl").write_text(
        f"addrmap map {{ {order} reg {{ field {{ sw = rw; hw = r; reset = 8'h35; }} v[{bits}]; }} first @ 0; }};"
    )
    compiler = RDLCompiler()
    for udp in ALL_UDPS:
        compiler.register_udp(udp)
    compiler.compile_file("map.rdl")
    return compiler.elaborate()


def seen(order, bits):
    """What each exporter says of the field's place and reset."""
    RegblockExporter().export(compiled(order, bits), "block", cpuif_cls=PassthroughCpuif, module_name="map")
    CHeaderExporter().export(compiled(order, bits), "map.h")
    UVMExporter().export(compiled(order, bits), "map_uvm.sv")
    IPXACTExporter(standard=Standard.IEEE_1685_2009).export(compiled(order, bits), "map2009.xml")
    IPXACTExporter(standard=Standard.IEEE_1685_2014).export(compiled(order, bits), "map2014.xml")
    text = {name: Path(name).read_text() for name in ("block/map.sv", "map.h", "map_uvm.sv")}
    old, new = (re.sub(r"</?\w+:", "<", Path(f"map{year}.xml").read_text()) for year in (2009, 2014))
    return {
        "regblock": re.search(r"readback_data_var\[7:0\] = (.*);", text["block/map.sv"])[1],
        "cheader": tuple(int(re.search(rf"V_{what} (\w+)", text["map.h"])[1], 0) for what in ("bp", "reset")),
        "uvm": re.search(r"v\.configure\(this, (\d+), (\d+)", text["map_uvm.sv"]).groups(),
        "2009": re.search(r"<value>(\w+)<value>\s*<mask>(\w+)<", old).groups(),
        "2014": re.search(r"<value>'h(\w+)<", new)[1],
        "offsets": [re.search(r"<bitOffset>(\d+)<", text)[1] for text in (old, new)],
    }


first, last = seen("", "7:0"), seen("msb0;", "0:7")
print(f"v[7:0]: {first}\nv[0:7] with msb0: {last}")
alike = first["cheader"] == (0, 0x35) and first["uvm"] == ("8", "0") and first["2009"] == ("0x35", "0xff")
swapped = "{<<{" in last["regblock"] and "{<<{" not in first["regblock"]
others = last["cheader"] == (0, 0x35) and last["uvm"] == ("8", "7") and last["2009"] == ("0x1a80", "0x7f80")
offsets = first["offsets"] == last["offsets"] == ["0", "0"]
sys.exit(0 if alike and swapped and others and offsets and last["2014"] == "35" else 1)
PY
cd "$folder"
venv/bin/python measure.py
