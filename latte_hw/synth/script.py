"""The Yosys scripts: one that keeps the hierarchy, checks and counts, one that writes a flat netlist."""

from latte_hw.synth import byte_products
from latte_hw.synth.targets import WHOLE_MEMORY, Target

BYTE = 9
"""Operands of a byte product: 8 bits, and a sign where one is signed and the other is not."""

LATCHES = ("$dlatch", "$adlatch", "$dlatchsr")

ADDER_FILE = "adders.v"
ADDER_MAP = """\
(* techmap_celltype = "$add" *)
module adder_alone (A, B, Y);
  parameter A_SIGNED = 0, B_SIGNED = 0, A_WIDTH = 1, B_WIDTH = 1, Y_WIDTH = 1;
  localparam SIGNED = A_SIGNED && B_SIGNED;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;
  wire [Y_WIDTH-1:0] propagate, carries;
  \\$alu #(
    .A_SIGNED(SIGNED), .B_SIGNED(SIGNED), .A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)
  ) adder (.A(A), .B(B), .Y(Y), .CI(1'b0), .BI(1'b0), .X(propagate), .CO(carries));
endmodule
"""
"""An addition as a carry chain of its own. Yosys makes one sum with compressors of additions without a register between
them; a compressor takes two LUTs a bit where a carry chain takes one."""

MAPS = {ADDER_FILE: ADDER_MAP, byte_products.FILE: byte_products.MAP}
"""What a script may read, beside the Verilog: content by file name."""

CHECK_FILE, LATCH_FILE, MEMORY_FILE, STAT_FILE, NETLIST_FILE = (
    "check.txt", "latches.txt", "memories.txt", "stat.json", "netlist.json"
)  # fmt: skip


def counting_script(
    target: Target, verilog: str, top: str, dsp: bool, products: int | None = None, chained_adders: bool = False
) -> str:
    """Check the flattened design, then synthesise with the hierarchy kept and count the cells of every module.

    The checks run on a flat copy, because a loop may pass through several modules. With `chained_adders`, additions in
    dot products are mapped by `ADDER_MAP`. The files of `MAPS` must be there.
    """
    latches = " ".join(f"t:{latch}" for latch in LATCHES)
    return "\n".join(
        [
            f"read_verilog {verilog}",
            f"hierarchy -check -top {top}",
            "proc",
            f"tee -q -o {MEMORY_FILE} dump -m m:*",
            "design -save read",
            "flatten",
            f"tee -q -o {CHECK_FILE} check",
            f"tee -q -o {LATCH_FILE} select -list {latches}",
            "design -load read",
            *_synthesise(target, top, dsp, products, target.keep, chained_adders),
            f"tee -q -o {STAT_FILE} stat -json",
            "",
        ]
    )


def flat_script(
    target: Target,
    verilog: str,
    top: str,
    dsp: bool,
    products: int | None = None,
    netlist: str = NETLIST_FILE,
    chained_adders: bool = False,
) -> str:
    """Synthesise flat, for place and route (a `.json` netlist) or for simulation (`.v`); names keep their path."""
    lines = [f"read_verilog {verilog}", f"hierarchy -check -top {top}", "proc"]
    write = "write_verilog -noattr" if netlist.endswith(".v") else "write_json"
    return "\n".join(
        [*lines, *_synthesise(target, top, dsp, products, target.flatten, chained_adders), f"{write} {netlist}", ""]
    )


def _synthesise(
    target: Target, top: str, dsp: bool, products: int | None, shape: str, chained_adders: bool
) -> list[str]:
    if not target.command:
        return [
            f"synth -top {top} -run begin:fine",
            f"chtype -set {WHOLE_MEMORY} t:$mem_v2",
            "opt -fast -full", "techmap", "opt -fast", "abc -lut 6", "opt_clean",
        ]  # fmt: skip
    command = f"{target.command} -top {top} {shape}{'' if dsp else ' ' + target.no_dsp}".rstrip()
    if target.name == "ice40" and dsp:
        command += " -dsp"
    return [
        *(['setattr -set ram_style "distributed" */m:table_*'] if target.lut_ram else []),  # where they go, but quickly
        "opt_expr",
        "opt_clean",
        "wreduce t:$mul",
        *(["wreduce", f"techmap -map {ADDER_FILE} *dot*/t:$add"] if chained_adders else []),
        *([] if products is None else _all_but(products, target)),
        f"{command} -run begin:map_luts",
        "splitnets",  # without it the LUT mapper fails on a name that is there twice, once the hierarchy is kept
        f"{command} -run map_luts:",
    ]


def _all_but(products: int, target: Target) -> list[str]:
    """Withhold all but so many byte products from the mapping to DSP blocks, as the cells that Yosys makes of such.

    Wider ones all get their DSP block: of LUTs they would be slow. Yosys chooses among the others by a generator of its
    own with a fixed seed, so the choice is the same on every run.
    """
    return [
        f"select -set bytes t:$mul r:A_WIDTH<={BYTE} %i r:B_WIDTH<={BYTE} %i",
        f"select -set lucky @bytes %R{products}",
        "select -set others @bytes @lucky %d",
        *([f"techmap -map {byte_products.FILE} -map {ADDER_FILE} @others"] if target.name == "ecp5-85k" else []),
        "chtype -set $__soft_mul @others t:$mul %i",
    ]
