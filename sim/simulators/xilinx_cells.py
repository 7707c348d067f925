"""Verilog models of the AMD 7-series cells in a netlist of Yosys's: its own library, with behaviour for block RAM.

Yosys's `xilinx/cells_sim.v` simulates look-up tables, LUT RAM, flip-flops, carry chains and DSP blocks; of RAMB18E1 and
RAMB36E1 it has the ports and parameters alone. :func:`library` adds what they do, after AMD's UG473, as far as Yosys
uses them:

* `TDP`: each port reads and writes words of its own width; a port that writes reads the old word (`READ_FIRST`), the
  new one (`WRITE_FIRST`) or keeps what it had (`NO_CHANGE`);
* `SDP`: port A reads, port B writes. Reading a word in the cycle that writes it gives the old one with `READ_FIRST`,
  unknown bits otherwise, as on the chip.

Widths of 9, 18, 36 and 72 bits hold a parity bit above every 8 bits. Output registers, cascades, inverted pins and
output resets are not modelled: such a RAM reads unknown bits, which no comparison takes for a value.
"""

import importlib.util
import re
import shutil
from pathlib import Path

from latte_hw.config.errors import LatteError
from latte_hw.synth.tools import YOSYS

LIBRARY = Path("xilinx") / "cells_sim.v"

_BEHAVIOUR = """
    reg [{top}:0] bits;
    reg [{parity_top}:0] parity;
    initial begin
        bits = {{{inits}}};
        parity = {{{parity_inits}}};
    end

    wire modelled = DOA_REG == 0 && DOB_REG == 0 && !IS_CLKARDCLK_INVERTED && !IS_CLKBWRCLK_INVERTED
        && !IS_ENARDEN_INVERTED && !IS_ENBWREN_INVERTED && RSTRAMARSTRAM === 1'b0 && RSTRAMB === 1'b0{extension};
    wire simple = RAM_MODE == "SDP";
    wire [{word_top}:0] in_a = {{DIBDI, DIADI}}, in_b = simple ? in_a : DIBDI;
    wire [{word_parity_top}:0] in_parity_a = {{DIPBDIP, DIPADIP}}, in_parity_b = simple ? in_parity_a : DIPBDIP;
    wire [{word_parity_top}:0] write_a = simple ? 0 : ENARDEN ? WEA : 0, write_b = ENBWREN ? WEBWE : 0;
    wire [{address_top}:0] at_a = ADDRARDADDR[{address_top}:0], at_b = ADDRBWRADDR[{address_top}:0];
    reg [{word_top}:0] out_a, out_b;
    reg [{word_parity_top}:0] out_parity_a, out_parity_b;

    function integer data_width(input integer width);  // without parity
        data_width = width < 8 ? width : width / 9 * 8;
    endfunction

    // One edge of a port: every bit of its word, read before it is written.
    integer i, read_base, write_base;
    reg clash;
    always @(posedge CLKARDCLK) if (ENARDEN) begin
        read_base = at_a - at_a % (READ_WIDTH_A ? data_width(READ_WIDTH_A) : 1);
        write_base = at_b - at_b % (WRITE_WIDTH_B ? data_width(WRITE_WIDTH_B) : 1);
        clash = simple && WRITE_MODE_B != "READ_FIRST" && |write_b
            && read_base < write_base + data_width(WRITE_WIDTH_B) && write_base < read_base + data_width(READ_WIDTH_A);
        if (READ_WIDTH_A != 0 && (WRITE_MODE_A != "NO_CHANGE" || !(|write_a)))
            for (i = 0; i < data_width(READ_WIDTH_A); i = i + 1) begin
                out_a[i] <= clash ? 1'bx : bits[read_base + i];
                if (READ_WIDTH_A >= 9 && i % 8 == 0)
                    out_parity_a[i / 8] <= clash ? 1'bx : parity[read_base / 8 + i / 8];
                if (WRITE_MODE_A == "WRITE_FIRST" && write_a[i / 8]) begin
                    out_a[i] <= in_a[i];
                    if (i % 8 == 0) out_parity_a[i / 8] <= in_parity_a[i / 8];
                end
            end
        for (i = 0; WRITE_WIDTH_A != 0 && i < data_width(WRITE_WIDTH_A); i = i + 1)
            if (write_a[i / 8]) begin
                bits[at_a - at_a % data_width(WRITE_WIDTH_A) + i] <= in_a[i];
                if (WRITE_WIDTH_A >= 9 && i % 8 == 0) parity[at_a / 8 + i / 8] <= in_parity_a[i / 8];
            end
    end
    integer j;
    always @(posedge CLKBWRCLK) if (ENBWREN) begin
        if (READ_WIDTH_B != 0 && (WRITE_MODE_B != "NO_CHANGE" || !(|write_b)))
            for (j = 0; j < data_width(READ_WIDTH_B); j = j + 1) begin
                out_b[j] <= bits[at_b - at_b % data_width(READ_WIDTH_B) + j];
                if (READ_WIDTH_B >= 9 && j % 8 == 0) out_parity_b[j / 8] <= parity[at_b / 8 + j / 8];
                if (WRITE_MODE_B == "WRITE_FIRST" && write_b[j / 8]) begin
                    out_b[j] <= in_b[j];
                    if (j % 8 == 0) out_parity_b[j / 8] <= in_parity_b[j / 8];
                end
            end
        for (j = 0; WRITE_WIDTH_B != 0 && j < data_width(WRITE_WIDTH_B); j = j + 1)
            if (write_b[j / 8]) begin
                bits[at_b - at_b % data_width(WRITE_WIDTH_B) + j] <= in_b[j];
                if (WRITE_WIDTH_B >= 9 && j % 8 == 0) parity[at_b / 8 + j / 8] <= in_parity_b[j / 8];
            end
    end

    assign DOADO = modelled ? out_a : {{{word}{{1'bx}}}}; assign DOPADOP = modelled ? out_parity_a : {{{word}{{1'bx}}}};
    assign DOBDO = !modelled ? {{{word}{{1'bx}}}} : simple ? out_a[{word_top}:{half}] : out_b; assign DOPBDOP =
    !modelled ? {{{word}{{1'bx}}}} : simple ? out_parity_a[{word_parity_top}:{parity_half}] : out_parity_b;
"""  # a line of Verilog


def library() -> str:
    """Yosys's models of the cells with ours of block RAM. Raises :class:`LatteError` when Yosys's are not found."""
    text = _yosys_library().read_text()
    for name, kilobits in (("RAMB18E1", 16), ("RAMB36E1", 32)):
        text = _with_behaviour(text, name, kilobits)
    return text


def _yosys_library() -> Path:
    """From the wheel, else beside the program on PATH."""
    places = []
    wheel = importlib.util.find_spec(YOSYS.wheel)
    if wheel is not None and wheel.origin is not None:
        places.append(Path(wheel.origin).parent / "share" / LIBRARY)
    elif (program := shutil.which(YOSYS.name)) is not None:
        places.append(Path(program).resolve().parents[1] / "share" / "yosys" / LIBRARY)
    for place in places:
        if place.is_file():
            return place
    raise LatteError(f"Yosys's models of cells, {LIBRARY}, are not beside Yosys: install the extra `synth`")


def _with_behaviour(text: str, module: str, kilobits: int) -> str:
    """Between the ports and the end of a module: its behaviour, instead of its timing."""
    found = re.search(rf"^module {module} \(.*?^endmodule", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise LatteError(f"Yosys's models of cells have no module {module}")
    bits, word = 1024 * kilobits, 2 * kilobits
    behaviour = _BEHAVIOUR.format(
        top=bits - 1,
        parity_top=bits // 8 - 1,
        inits=", ".join(f"INIT_{index:02X}" for index in reversed(range(bits // 256))),
        parity_inits=", ".join(f"INITP_{index:02X}" for index in reversed(range(bits // 2048))),
        extension=' && RAM_EXTENSION_A == "NONE" && RAM_EXTENSION_B == "NONE"' if kilobits == 32 else "",
        word=word,
        word_top=word - 1,
        word_parity_top=word // 8 - 1,
        half=word // 2,
        parity_half=word // 16,
        address_top=bits.bit_length() - 2,
    )
    declared = re.sub(r"^    specify.*?^    endspecify", "", found.group(), flags=re.MULTILINE | re.DOTALL)
    return text.replace(found.group(), declared.removesuffix("endmodule") + behaviour + "endmodule")
