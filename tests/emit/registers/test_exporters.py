"""What PeakRDL's exporters make of the SystemRDL is accepted by the language it is in, and agrees with the table.

C header and IP-XACT, which come with a core, are in test_exports.py.
"""

import importlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from latte_hw.config import LatteConfig
from latte_hw.emit.registers.exports import write_html
from latte_hw.emit.registers.rdl import system_rdl
from latte_hw.system.csr.model import Access
from latte_hw.system.csr.table import register_map

REGISTERS = register_map(LatteConfig(head_dim=8, max_keys=32), cores=2, stream_bits=32, entries=3)
ADDRESSES = {placed.path: placed.address for placed in REGISTERS.placed()}
BITS = {
    (placed.path, field.name): (field.lsb, field.width)
    for placed in REGISTERS.placed()
    for field in placed.register.fields
}

UVM = """
package uvm_pkg;
  typedef enum {UVM_NO_COVERAGE} uvm_coverage_model_e;
  typedef enum {UVM_NO_ENDIAN, UVM_LITTLE_ENDIAN, UVM_BIG_ENDIAN} uvm_endianness_e;
  typedef class uvm_reg_block;
  class uvm_object;
    function new(string name = "");
    endfunction
    virtual function string get_name(); return ""; endfunction
  endclass
  class uvm_reg_map extends uvm_object;
    virtual function void add_reg(uvm_object rg, longint unsigned offset, string rights = "RW"); endfunction
    virtual function void add_submap(uvm_reg_map child, longint unsigned offset); endfunction
  endclass
  class uvm_reg extends uvm_object;
    function new(string name, int unsigned n_bits, int has_coverage); super.new(name); endfunction
    virtual function void configure(uvm_reg_block parent, uvm_object regfile = null, string hdl_path = "");
    endfunction
    virtual function void build(); endfunction
  endclass
  class uvm_reg_field extends uvm_object;
    function new(string name = ""); super.new(name); endfunction
    function void configure(uvm_reg parent, int unsigned size, int unsigned lsb_pos, string access, bit is_volatile,
      longint unsigned reset, bit has_reset, bit is_rand, bit individually_accessible);
    endfunction
  endclass
  class uvm_reg_block extends uvm_object;
    uvm_reg_map default_map;
    function new(string name = "", int has_coverage = 0); super.new(name); endfunction
    virtual function void configure(uvm_reg_block parent = null, string hdl_path = ""); endfunction
    virtual function void build(); endfunction
    virtual function uvm_reg_map create_map(string name, longint unsigned base_addr, int unsigned n_bytes,
      uvm_endianness_e endian, bit byte_addressing = 1);
      return null;
    endfunction
  endclass
endpackage
"""
"""As much of UVM's register layer as a register model uses: the model is parsed and its types are checked."""


def exporter(module: str, name: str) -> Any:
    """An exporter of PeakRDL; the test is skipped without it."""
    return getattr(pytest.importorskip(module), name)()


def elaborated(folder: Path, module: str = "") -> Any:
    """The map's top node, compiled with the properties that an exporter brings, as the command `peakrdl` does it."""
    compiler = pytest.importorskip("systemrdl").RDLCompiler()
    for definition in importlib.import_module(f"{module}.udps").ALL_UDPS if module else ():
        compiler.register_udp(definition, soft=False)
    (folder / "latte.rdl").write_text(system_rdl(REGISTERS))
    compiler.compile_file(str(folder / "latte.rdl"))
    return compiler.elaborate("latte").top


def unrolled(path: str, first: int, stride: int = 0) -> Iterator[tuple[str, int]]:
    """`block.register` of every member of a block, `register` alone as it is, at its address."""
    name, _, member = path.partition(".")
    if not member:
        yield path, first
        return
    for number in range(REGISTERS.block(name).count):
        yield f"{name}[{number}].{member}", first + number * stride


def slang_errors(*sources: str) -> list[str]:
    """What slang calls an error in a compilation unit of SystemVerilog."""
    pyslang = pytest.importorskip("pyslang")
    tree = pyslang.syntax.SyntaxTree.fromText("\n".join(sources))
    compilation = pyslang.ast.Compilation()
    compilation.addSyntaxTree(tree)
    found = [one for one in compilation.getAllDiagnostics() if one.isError()]
    return [pyslang.DiagnosticEngine.reportAll(compilation.sourceManager, [one]) for one in found]


# --- a language each --------------------------------------------------------------------------------------------------


def test_uvm(tmp_path: Path) -> None:
    uvm = exporter("peakrdl_uvm", "UVMExporter")
    uvm.export(elaborated(tmp_path), str(tmp_path / "latte_uvm.sv"))
    text = (tmp_path / "latte_uvm.sv").read_text()
    without_macros = text.replace('`include "uvm_macros.svh"', "")
    assert slang_errors(UVM, without_macros) == []
    assert slang_errors(UVM, without_macros.replace("head_table", "table")) != [], "a keyword must be found"

    blocks = {
        name.removeprefix("latte").removeprefix("__"): body
        for name, body in re.findall(r"class (\w+) extends uvm_reg_block;(.*?)endclass", text, re.S)
    }
    maps = {"": (0, 0)} | {
        name: (int(start, 16), int(stride, 16))
        for name, start, stride in re.findall(r"add_submap\(this\.(\w+)\[i0\].*, 'h(\w+) \+ i0\*'h(\w+)\)", blocks[""])
    }
    found = {}
    for name, body in blocks.items():
        start, stride = maps[name]
        for register, offset in re.findall(r"add_reg\(this\.(\w+), 'h(\w+)\)", body):
            found |= dict(unrolled(".".join(filter(None, (name, register))), start + int(offset, 16), stride))
    assert found == ADDRESSES

    bits = {}
    for name, body in re.findall(r"class latte__(\w+) extends uvm_reg;(.*?)endclass", text, re.S):
        for field, width, lsb in re.findall(r"this\.(\w+)\.configure\(this, (\d+), (\d+),", body):
            bits[name.replace("__", "."), field] = int(lsb), int(width)
    assert bits == {(re.sub(r"\[\d+\]", "", path), field): place for (path, field), place in BITS.items()}


def test_regblock(tmp_path: Path) -> None:
    exporter_of = exporter("peakrdl_regblock", "RegblockExporter")
    cpuif = importlib.import_module("peakrdl_regblock.cpuif.axi4lite").AXI4Lite_Cpuif_flattened
    exporter_of.export(elaborated(tmp_path, "peakrdl_regblock"), str(tmp_path), cpuif_cls=cpuif)
    package, module = ((tmp_path / name).read_text() for name in ("latte_pkg.sv", "latte.sv"))
    assert slang_errors(package, module) == []
    found = {}
    decoded = r"decoded_reg_strb\.([\w.\[\]]+) = .*\(cpuif_addr == 13'h(\w+)(?: \+ \(13\)'\(i0\) \* 13'h(\w+))?\)"
    for path, start, stride in re.findall(decoded, module):
        found |= dict(unrolled(path.replace("[i0]", ""), int(start, 16), int(stride or "0", 16)))
    assert found == ADDRESSES


def test_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The access layer reads and writes words of this test: addresses and fields are those that it uses."""
    python = exporter("peakrdl_python", "PythonExporter")
    python.export(elaborated(tmp_path), str(tmp_path), skip_test_case_generation=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    model = importlib.import_module("latte.reg_model.latte")
    callbacks = importlib.import_module("latte.lib").NormalCallbackSet
    words: dict[int, int] = {}

    def read(addr: int, width: int, accesswidth: int) -> int:
        assert (width, accesswidth) == (32, 32)
        return words[addr]

    def write(addr: int, width: int, accesswidth: int, data: int) -> None:
        assert (width, accesswidth) == (32, 32)
        words[addr] = data

    latte = model.latte_cls(callbacks=callbacks(read_callback=read, write_callback=write))
    for placed in REGISTERS.placed():
        node = latte
        for name, number in re.findall(r"(\w+)(?:\[(\d+)\])?", placed.path):
            node = getattr(node, name)[int(number)] if number else getattr(node, name)
        assert node.address == placed.address
        for field in placed.register.fields:
            member = getattr(node, field.name)
            assert (member.low, member.width) == (field.lsb, field.width)
            if field.access.readable:
                words[placed.address] = (field.mask ^ 1) << field.lsb
                assert member.read() == field.mask ^ 1
        if all(field.access is Access.RAM for field in placed.register.fields):
            node.write(5)
            assert words[placed.address] == 5
    for name in [name for name in sys.modules if name.split(".")[0] == "latte"]:
        del sys.modules[name]


def test_rust(tmp_path: Path) -> None:
    """Its text only: no Rust is needed."""
    rust = exporter("peakrdl_rust.exporter", "RustExporter")
    rust.export(elaborated(tmp_path, "peakrdl_rust"), path=str(tmp_path / "rust"), fmt=False, force=True)
    components = tmp_path / "rust" / "components"
    place = r"fn (\w+)\(&self\)(?:(?!fn ).)*?wrapping_byte_add\(0x(\w+)(?: \+ i0 \* 0x(\w+))?\)"
    starts = {name: (int(start, 16), int(stride or "0", 16))
              for name, start, stride in re.findall(place, (components / "latte.rs").read_text(), re.S)}  # fmt: skip
    found = {}
    for name, (start, stride) in starts.items():
        if not stride:
            found[name] = start
            continue
        for register, offset, _ in re.findall(place, (components / "latte" / f"{name}.rs").read_text(), re.S):
            found |= dict(unrolled(f"{name}.{register}", start + int(offset, 16), stride))
    assert found == ADDRESSES
    modules = re.findall(r"pub mod (\S+);", "".join(path.read_text() for path in components.rglob("*.rs")))
    assert not [name for name in modules if name.startswith("r#")], "a keyword of Rust"


def test_markdown(tmp_path: Path) -> None:
    markdown = exporter("peakrdl_markdown", "MarkdownExporter")
    markdown.export(elaborated(tmp_path), str(tmp_path / "latte.md"))
    text = (tmp_path / "latte.md").read_text()
    found, block = {}, ""
    members: Counter[str] = Counter()
    heading = r"^#+ (\w+)(?:\[\d+\])? (register file|register)$\n\n- Absolute Address: (\w+)"
    for name, kind, address in re.findall(heading, text, re.M):
        if kind == "register file":
            block = f"{name}[{members[name]}]."
            members[name] += 1
        else:
            found[f"{block}{name}"] = int(address, 16)
    assert found == ADDRESSES
    for placed in REGISTERS.placed():
        for field in placed.register.fields:
            bits = field.bits
            assert re.search(rf"^\| *{bits} *\| *{field.name} *\|", text, re.M), (placed.path, field.name)


def test_html(tmp_path: Path) -> None:
    write_html(REGISTERS, tmp_path)
    nodes = json.loads((tmp_path / "data" / "ral-data-0.json").read_text())
    found, bits = {}, {}
    for node in nodes:
        if "fields" not in node:
            continue
        parent = nodes[node["parent"]]
        path = node["name"] if parent["parent"] is None else f"{parent['name']}.{node['name']}"
        start = int(node["offset"], 16) + (int(parent["offset"], 16) if "." in path else 0)
        for unrolled_path, address in unrolled(path, start, int(parent.get("stride", "0"), 16)):
            found[unrolled_path] = address
            for field in node["fields"]:
                bits[unrolled_path, field["name"]] = field["lsb"], field["msb"] - field["lsb"] + 1
    assert (found, bits) == (ADDRESSES, BITS)
