#!/bin/sh
# FuseSoC 2.4.7 with edalize 0.6.8 runs the simulation of another core and reports it as the one asked for: its work
# folder is named by the core's name, and a program there counts as up to date when it is newer than the source files.
# Found 2026-11-30, Python 3.11, Icarus Verilog 11.0. Needs iverilog and make on PATH.
#
# Seen: two libraries hold a core `::core:0` each, say two versions of it, or two configurations from one generator,
# with files of the same names. `fusesoc --cores-root one run --target sim ::core:0` prints "this is one". The same
# command with `--cores-root two` copies the other file, compiles nothing, prints "this is one" again and ends with
# status 0. With `--clean` it prints "this is two".
#
# Exits with 0 while it is so, and with 1 when the second run simulates the second core.
set -eu
command -v iverilog > /dev/null || { echo 'iverilog is not installed'; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'fusesoc==2.4.7' 'edalize==0.6.8'
cd "$folder"
for library in one two; do
  mkdir $library
  cat > $library/core.core <<'CORE'
CAPI=2:
name: ::core:0
filesets:
  bench: {files: [bench.v], file_type: verilogSource}
targets:
  default: {filesets: [bench]}
  sim:
    flow: sim
    flow_options: {tool: icarus}
    filesets: [bench]
    toplevel: bench
CORE
  printf 'module bench;\n  initial begin $display("this is %s"); $finish; end\nendmodule\n' $library > $library/bench.v
done
run() {
  library=$1
  shift
  venv/bin/fusesoc --cores-root "$library" run "$@" --target sim ::core:0 > run.log 2>&1
  sed -n 's/^this is //p' run.log
}
first=$(run one)
second=$(run two)
cleaned=$(run two --clean)
echo "asked for one: $first; for two: $second; for two with --clean: $cleaned"
test "$first $second $cleaned" = 'one one two'
