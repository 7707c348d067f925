"""The netlist of a core, made by Yosys for AMD 7 series, in the bench of the emitted Verilog."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from golden.files.tensors import TensorFile
from latte_hw.config import Datapath, DenseConfig, LatteConfig
from latte_hw.config.errors import LatteError, MismatchError
from latte_hw.emit import head as emit
from latte_hw.emit.head import TOPS
from sim import simulate
from sim.head.collect import collect
from sim.head.harness import Options
from sim.head.traffic import Traffic
from sim.lib.layout import Description
from sim.simulators import runner
from sim.simulators.netlist import netlist_of
from sim.simulators.xilinx_cells import library

STAGES = ("estimate", "keep", "score", "prob", "out", "counters")

pytestmark = pytest.mark.skipif(shutil.which("iverilog") is None, reason="needs iverilog")


@pytest.mark.parametrize("datapath", [Datapath.LATTE, pytest.param(Datapath.DENSE, marks=pytest.mark.slow)])
def test_a_netlist_equals_golden_and_the_verilog_in_every_cycle(
    datapath: Datapath, tiny: LatteConfig, trace: Callable[..., TensorFile]
):
    tensors = trace(n_queries=12, n_keys=20)
    config = DenseConfig.of(tiny) if datapath is Datapath.DENSE else tiny
    got, plain = (
        simulate.simulate(tensors, config, simulator="icarus", flow="both", seed=5, netlist=netlist)
        for netlist in (True, False)
    )
    assert simulate.compare(simulate.expect(tensors, config), got) is None
    assert {*STAGES} - ({"estimate"} if datapath is Datapath.DENSE else set()) <= got.keys()
    for cycles in ("query_start", "query_cycles"):
        assert (got[cycles] == plain[cycles]).all(), cycles


@pytest.mark.slow
def test_one_wrong_look_up_table_is_seen(tiny: LatteConfig, trace: Callable[..., TensorFile], tmp_path: Path):
    """The same netlist, but the table of one LUT that drives a net of a block is inverted."""
    emitted = emit.generate(tiny, tmp_path, taps=True)
    good = netlist_of(emitted.verilog.read_text(), TOPS[Datapath.LATTE])
    tensors = trace(n_queries=12, n_keys=20)
    for block in ("estimator", "filter", "weighted_sum"):
        emitted.verilog.write_text(with_a_wrong_table(good, block))
        assert difference(emitted, tensors, tiny) is not None, block
    emitted.verilog.write_text(good)
    assert difference(emitted, tensors, tiny) is None


def with_a_wrong_table(netlist: str, block: str) -> str:
    tables = list(re.finditer(rf"\.INIT\((\d+)'h([0-9a-f]+)\)\n  \) \S+ \((?:[^;]*)\.O\(\\{block}\.[^;]*;", netlist))
    found = tables[len(tables) // 2]
    bits = int(found[1])
    inverted = f"{int(found[2], 16) ^ (1 << bits) - 1:0{bits // 4}x}"
    return netlist[: found.start(2)] + inverted + netlist[found.end(2) :]


def difference(emitted: emit.Emitted, tensors: TensorFile, config: LatteConfig) -> str | None:
    traffic = Traffic.from_tensors(tensors)
    try:
        recording = runner.run(emitted.verilog, emitted.description, traffic, Options(), simulator="icarus")
        got = collect(recording, Description.load(emitted.description), traffic)
    except MismatchError as problem:
        return str(problem)  # it hangs, breaks the protocol or drives an unknown value
    return simulate.compare(simulate.expect(tensors, config), got)


BLOCK_RAM_BENCH = """
module bench;
    reg clk = 0, write = 0;
    reg [{bits}:0] data = 0;
    reg [8:0] to = 0, from = 0;
    wire [{bits}:0] out;
    {instance}
    task step; begin #1 clk = 1; #1 clk = 0; end endtask
    integer n;
    initial begin
        write = 1;
        for (n = 0; n < 512; n = n + 1) begin to = n; data = {{3{{n[8:0], ~n[8:0], 6'd41}}}}; step; end
        write = 0;
        for (n = 0; n < 512; n = n + 1) begin
            from = n; step;
            data = {{3{{n[8:0], ~n[8:0], 6'd41}}}};
            if (out !== data) $display("word %0d is %h, not %h", n, out, data);
        end
        write = 1; to = 7; from = 7; data = 5; step;
        $display("collision known: %0d", ^out !== 1'bx);
        write = 0; step;
        $display("written %0d", out);
        $finish;
    end
endmodule
"""


@pytest.mark.parametrize(("mode", "known"), [("READ_FIRST", 1), ("WRITE_FIRST", 0)])
@pytest.mark.parametrize(("cell", "width"), [("RAMB18E1", 36), ("RAMB36E1", 72)])
def test_block_ram(cell: str, width: int, mode: str, known: int, tmp_path: Path):
    """Every word of a simple dual-port RAM, parity bits too, and reading what is being written."""
    half, parity = width * 4 // 9, width // 18
    address = "{from, 5'd0}" if width == 36 else "{1'b1, from, 6'd0}"
    connections = []
    for port, low, low_parity in (("A", 0, 2 * half), ("B", half, 2 * half + parity)):
        for kind, net in (("I", "data"), ("O", "out")):
            connections.append(f".D{kind}{port}D{kind}({net}[{low + half - 1}:{low}])")
            connections.append(f".D{kind}P{port}D{kind}P({net}[{low_parity + parity - 1}:{low_parity}])")
    zero = ("RSTRAMARSTRAM", "RSTRAMB", "RSTREGARSTREG", "RSTREGB", "REGCEAREGCE", "REGCEB")
    connections += [f".{pin}(1'b0)" for pin in zero]
    connections += [
        ".CLKARDCLK(clk)", ".CLKBWRCLK(clk)", ".ENARDEN(1'b1)", ".ENBWREN(1'b1)", f".ADDRARDADDR({address})",
        f".ADDRBWRADDR({address.replace('from', 'to')})", f".WEBWE({{{width // 9}{{write}}}})",
    ]  # fmt: skip
    settings = f'.RAM_MODE("SDP"), .READ_WIDTH_A({width}), .WRITE_WIDTH_B({width}), ' + ", ".join(
        f'.WRITE_MODE_{port}("{mode}")' for port in "AB"
    )
    instance = f"{cell} #({settings}) ram ({', '.join(connections)});"
    (tmp_path / "bench.v").write_text(library() + BLOCK_RAM_BENCH.format(bits=width - 1, instance=instance))
    command = ["iverilog", "-g2005", "-s", "bench", "-o", str(tmp_path / "bench"), str(tmp_path / "bench.v")]
    subprocess.run(command, check=True)
    done = subprocess.run(["vvp", str(tmp_path / "bench")], capture_output=True, text=True, check=True)
    said = [line for line in done.stdout.splitlines() if "finish" not in line]
    assert said == [f"collision known: {known}", "written 5"]


def test_amaranth_runs_no_netlist(tiny: LatteConfig, trace: Callable[..., TensorFile]):
    with pytest.raises(LatteError, match="a netlist runs in verilator, icarus or native, not in amaranth"):
        simulate.simulate(trace(), tiny, simulator="amaranth", netlist=True)
