"""Conversion to Verilog: the same text whatever Yosys is installed, which means the same to every tool that reads it.

Amaranth converts through RTLIL and Yosys, and so does this, in a sixth of the time and a third of the memory. The text
differs from Amaranth's own in what is combinational. Amaranth leaves its `if` and `switch` to `always @*`, with a
variable initialised in its declaration that wakes the block at time 0. In SystemVerilog such an initialiser makes no
event (IEEE 1800-2017, 6.8), and what depends on constants alone stays X. Here all of it is continuous assignments.
"""

import gc
import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amaranth._toolchain.yosys import find_yosys
from amaranth.back import rtlil
from amaranth.hdl import (
    Fragment,
    _ast,
    _ir,
    _nir,
)  # what Amaranth's own back ends are made of; there are no public names

from latte_hw.config.errors import LatteError
from latte_hw.host.wasm import translations

CHOICE = "AMARANTH_USE_YOSYS"

OF_NO_USE = ("generator", "top", "src", "amaranth.hierarchy", "amaranth.decoding", "full_case", "unused_bits")
"""Attributes that Amaranth and the passes leave behind."""

PASSES = (
    "proc -noopt -norom",  # `if` and `switch` become multiplexers
    "opt_clean",
    "memory_collect",
    "opt_dff -simple-dffe",  # those in front of a register, its reset and its enable
    "opt_clean",  # names for one net: the public one stays
    *(f"attrmap {scope} {' '.join(f'-remove {name}' for name in OF_NO_USE)}" for scope in ("", "-modattr")),
    # With names of its own for nets called `$1`, which Yosys's `read_slang` refuses, and cases that do not overlap.
    "write_verilog -noparallelcase",
)
"""From Amaranth's RTLIL to Verilog. None of them chooses cells: sums, products and comparisons stay as they are."""


def verilog_text(subject: Any, name: str, ports: Any) -> str:
    """Verilog of an elaboratable, its top module called `name`; `ports` as :func:`amaranth.back.verilog.convert` has
    them."""
    with translations(), _packaged_yosys(), _without_garbage_collection():
        text, zero_memories = _rtlil_text(_netlist(subject, name, ports))
        gc.collect()  # the netlist, before Yosys takes its share of memory
        text = _converted(text)
    return _zeros_in_loops(text, zero_memories)


def _netlist(subject: Any, name: str, ports: Any) -> _nir.Netlist:
    """The design as cells and nets. Its statements, half of what conversion holds, end with this function."""
    design = Fragment.get(subject, None).prepare(ports=ports, hierarchy=(name,))
    gc.collect()  # what elaboration left
    return _ir.build_netlist(design)


def _rtlil_text(netlist: _nir.Netlist) -> tuple[str, int]:
    """What :func:`amaranth.back.rtlil.convert_fragment` makes of a netlist, and the number of memories of zeros."""
    gc.collect()  # the statements that the netlist was made of
    checker = rtlil.EmptyModuleChecker(netlist)
    text = rtlil.Emitter()
    zero_memories = 0
    for number, module in enumerate(netlist.modules):
        if checker.is_empty(number):
            continue
        builder = rtlil.Module(".".join(module.name), emit_src=False)
        if number == 0:
            builder.attribute("top", 1)
        emitter = _ModuleEmitter(builder, netlist, module, _ast.SignalDict(), empty_checker=checker)
        emitter.emit()
        zero_memories += emitter.zero_memories
        builder.emit(text)
    return str(text), zero_memories


def _converted(rtlil_text: str) -> str:
    """Verilog, by a Yosys that Amaranth too would take."""
    yosys = find_yosys(lambda version: version >= (0, 40))
    script = "\n".join([f"read_rtlil <<rtlil\n{rtlil_text}\nrtlil", *PASSES])
    return yosys.run(["-q", "-"], script, ignore_warnings=True)


class _ModuleEmitter(rtlil.ModuleEmitter):
    """Two cells otherwise than Amaranth writes them.

    `all()` of no bits is 1, and so it is in RTLIL; Yosys writes it as `& 1'h0` (0.50 to 0.64).

    Amaranth writes the initial contents of a memory bit by bit: of K and V of 4096 keys, 8 million digits, which
    are three quarters of the text and most of the time. Of zeros, only the first word is written."""

    zero_memories = 0

    def emit_operator(self, cell_idx: int, cell: _nir.Operator) -> None:
        if cell.operator == "r&" and not len(cell.inputs[0]):
            cell = _nir.Operator(cell.module_idx, operator="r&", inputs=(_nir.Value.ones(),), src_loc=cell.src_loc)
        super().emit_operator(cell_idx, cell)

    def emit_memory(self, cell_idx: int, cell: _nir.Memory) -> None:
        if not any(cell.init):
            self.zero_memories += 1
            cell = _nir.Memory(
                cell.module_idx, width=cell.width, depth=1, init=(0,), name=cell.name, attributes=cell.attributes,
                src_loc=cell.src_loc,
            )  # fmt: skip
        super().emit_memory(cell_idx, cell)


_ZEROS = re.compile(
    r"(?P<declaration>  reg [^;\n]*\[(?P<last>\d+):0\];\n)"
    r"  initial begin\n    (?P<name>\S+ ?)\[0\] = (?P<width>\d+)'(?:h0+|d0);\n  end\n"
)


def _zeros_in_loops(text: str, memories: int) -> str:
    """Initialise all words of the memories of which :class:`_ModuleEmitter` wrote one."""
    numbers = itertools.count()

    def loop(match: re.Match[str]) -> str:
        return (
            f"{match['declaration']}  initial begin : zero_memory_{next(numbers)}\n    integer word;\n"
            f"    for (word = 0; word < {int(match['last']) + 1}; word = word + 1)\n"
            f"      {match['name']}[word] = {match['width']}'h0;\n  end\n"
        )

    text = _ZEROS.sub(loop, text)
    if (found := next(numbers)) != memories:
        raise LatteError(f"Yosys must write every memory of zeros with its first word, {memories} of them, not {found}")
    return text


@contextmanager
def _packaged_yosys() -> Iterator[None]:
    """Amaranth prefers a Yosys on PATH, or that `YOSYS` names, to the one it comes with. Each version writes another
    text, and files are to depend on the configuration alone. Who sets Amaranth's variable gets what they ask for."""
    if CHOICE in os.environ:
        yield
        return
    os.environ[CHOICE] = "builtin"
    try:
        yield
    finally:
        del os.environ[CHOICE]


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Conversion makes millions of objects and drops hardly any: looking for cycles among them doubles its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
