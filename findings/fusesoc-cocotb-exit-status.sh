#!/bin/sh
# `fusesoc run` ends with exit status 0 when the cocotb test that it ran has failed: FuseSoC 2.4.7 with edalize 0.6.8,
# flow `sim`, option `cocotb_module`. A continuous integration that trusts the status is green for ever.
# Found 2026-11-30, Python 3.11, cocotb 2.1.0, Icarus Verilog 11.0. Needs iverilog and make on PATH.
#
# Seen: cocotb prints "FAIL=1" for a test that ends in AssertionError, the status is 0; the same bench failing by
# `$fatal` in Verilog gives status 1. Without GPI_USERS in the environment (`cocotb-config --libpython` and pygpi's
# entry point) cocotb 2.1 runs no test at all under edalize 0.6.8, and the status is 0 as well.
#
# Exits with 0 while it is so, and with 1 when a failed cocotb test makes `fusesoc run` fail.
set -eu
command -v iverilog > /dev/null || { echo 'iverilog is not installed'; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'fusesoc==2.4.7' 'edalize==0.6.8' 'cocotb==2.1.0' \
  'find_libpython==0.5.1'
cd "$folder"
mkdir core
cat > core/adder.core <<'CORE'
CAPI=2:
name: ::adder:0
filesets:
  rtl: {files: [adder.v], file_type: verilogSource}
  bench: {files: [stop.v], file_type: verilogSource}
  tests: {files: [checks.py: {file_type: user, copyto: checks.py}]}
targets:
  default: {filesets: [rtl]}
  cocotb:
    flow: sim
    flow_options: {tool: icarus, cocotb_module: checks, timescale: 1ns/1ns}
    filesets: [rtl, tests]
    toplevel: adder
  verilog:
    flow: sim
    flow_options: {tool: icarus}
    filesets: [bench]
    toplevel: stop
CORE
printf 'module adder(input [7:0] a, output [7:0] b);\n  assign b = a + 8'"'"'d1;\nendmodule\n' > core/adder.v
printf 'module stop;\n  initial $fatal(1, "wrong");\nendmodule\n' > core/stop.v
cat > core/checks.py <<'PY'
import cocotb
from cocotb.triggers import Timer


@cocotb.test()
async def adds_two(dut):
    dut.a.value = 1
    await Timer(1, "ns")
    assert int(dut.b.value) == 3
PY
PATH="$folder/venv/bin:$PATH"
run() { fusesoc --cores-root core run --target "$1" ::adder:0 > "$2.log" 2>&1 && echo 0 || echo $?; }
without=$(run cocotb without)
GPI_USERS="$(cocotb-config --libpython);$(cocotb-config --pygpi-entry-point)"
export GPI_USERS
failed=$(run cocotb failed)
stopped=$(run verilog stopped)
summary=$(grep -o 'TESTS=.*FAIL=[0-9]*' failed.log)
echo "cocotb: $summary, status $failed; without GPI_USERS: status $without; \$fatal in Verilog: status $stopped"
if grep -q 'TESTS=' without.log; then echo 'a test ran without GPI_USERS'; exit 1; fi
test "$failed $without $stopped" = '0 0 1' && echo "$summary" | grep -q 'FAIL=1'
