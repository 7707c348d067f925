"""SystemRDL and what PeakRDL makes of it agree with the table: read by the RDL compiler, by gcc, by an XML parser."""

import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from systemrdl.node import RegNode
from systemrdl.rdltypes import AccessType, OnWriteType

from latte_hw.config import LatteConfig, Rule
from latte_hw.config.errors import LatteError
from latte_hw.emit.registers.exports import compiled, register_files, write_html
from latte_hw.emit.registers.rdl import system_rdl
from latte_hw.system.csr.model import Access, RegisterMap
from latte_hw.system.csr.table import register_map

MAPS = {
    "small": register_map(LatteConfig(head_dim=8, max_keys=32), cores=1, stream_bits=32, entries=1),
    "large": register_map(LatteConfig(rule=Rule.STATIC), cores=8, stream_bits=512, entries=256),
}
RDL_NAME, HEADER_NAME, IPXACT_NAME = "latte.rdl", "latte_regs.h", "latte_regs.xml"
IPXACT = {"i": "http://www.accellera.org/XMLSchema/IPXACT/1685-2014"}


@pytest.fixture(params=MAPS)
def registers(request) -> RegisterMap:
    return MAPS[request.param]


def test_the_rdl_compiler_finds_the_table(registers):
    with compiled(registers) as top:
        found = {node.get_path().removeprefix("latte."): node for node in top.descendants(unroll=True)}
        nodes = {path: node for path, node in found.items() if isinstance(node, RegNode)}
        assert list(nodes) == [placed.path for placed in registers.placed()]
        for placed in registers.placed():
            node = nodes[placed.path]
            assert node.absolute_address == placed.address
            assert node.get_property("desc") == placed.register.description
            fields = list(node.fields())
            assert [field.inst_name for field in fields] == [field.name for field in placed.register.fields]
            for field, data in zip(fields, placed.register.fields, strict=True):
                assert (field.low, field.width) == (data.lsb, data.width)
                assert field.get_property("reset") == (None if data.access is Access.RAM else data.reset)
                assert (field.is_sw_readable, field.is_sw_writable) == (data.access.readable, data.access.writable)
                clears = field.get_property("onwrite") is OnWriteType.woclr
                assert clears == (data.access is Access.STICKY)
                assert field.get_property("singlepulse") == (data.access in (Access.PULSE, Access.COMMAND))
                assert (field.get_property("hw") is AccessType.na) == (data.access is Access.CONSTANT)


def test_what_the_compiler_warns_of_is_an_error(registers, monkeypatch):
    text = system_rdl(registers).replace(" @ 0x24;", ";")  # an address that it would have to guess
    assert text != system_rdl(registers)
    monkeypatch.setattr("latte_hw.emit.registers.exports.system_rdl", lambda _registers: text)
    with pytest.raises(Exception, match="aborted"), compiled(registers):
        pass


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_the_header_compiles_and_its_offsets_and_masks_are_the_tables(registers, tmp_path):
    (tmp_path / HEADER_NAME).write_text(register_files(registers)[HEADER_NAME])
    checks = []
    for placed in registers.placed():
        checks.append((f"offsetof(latte_t, {placed.path})", placed.address))
        macro = "__".join(part.upper() for part in ("latte", placed.block, placed.register.name) if part)
        for field in placed.register.fields:
            name = f"{macro}__{field.name.upper()}"
            checks += [(f"{name}_bm", field.mask << field.lsb), (f"{name}_bp", field.lsb)]
            if field.access is not Access.RAM:
                checks.append((f"{name}_reset", field.reset))
    asserts = "\n".join(f'_Static_assert({code} == {value:#x}u, "{code}");' for code, value in checks)
    source = tmp_path / "check.c"
    source.write_text(f'#include <stddef.h>\n#include "{HEADER_NAME}"\n{asserts}\n')
    plain = tmp_path / "plain.c"
    plain.write_text(f'#include "{HEADER_NAME}"\n')
    for standard in ("c99", "c11", "gnu17"):
        strict = ["gcc", f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", str(plain)]
        done = subprocess.run(strict, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    build = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", str(source)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    source.write_text(source.read_text().replace("== 0x24u", "== 0x28u", 1))
    assert "status" in subprocess.run(build, capture_output=True, text=True).stderr


def test_ip_xact_has_every_register(registers):
    root = ElementTree.fromstring(register_files(registers)[IPXACT_NAME])
    top = root.find(".//i:addressBlock", IPXACT)

    def number(element, tag: str) -> int:
        text = element.findtext(f"i:{tag}", "1", IPXACT)
        return int(text.removeprefix("'h"), 16 if text.startswith("'h") else 10)

    found = {}
    for element in top.findall("i:register", IPXACT):
        found[element.findtext("i:name", "", IPXACT)] = number(element, "addressOffset"), element
    for block in top.findall("i:registerFile", IPXACT):
        name, count, stride = block.findtext("i:name", "", IPXACT), number(block, "dim"), number(block, "range")
        for index in range(count):
            for element in block.findall("i:register", IPXACT):
                address = number(block, "addressOffset") + index * stride + number(element, "addressOffset")
                found[f"{name}[{index}].{element.findtext('i:name', '', IPXACT)}"] = address, element
    assert {path: address for path, (address, _) in found.items()} == {
        placed.path: placed.address for placed in registers.placed()
    }
    for placed in registers.placed():
        fields = found[placed.path][1].findall("i:field", IPXACT)
        bits = [(number(field, "bitOffset"), number(field, "bitWidth")) for field in fields]
        assert bits == [(field.lsb, field.width) for field in placed.register.fields]


def test_files_are_the_same_every_time(registers, tmp_path):
    files = register_files(registers)
    assert set(files) == {RDL_NAME, HEADER_NAME, IPXACT_NAME}
    assert register_files(registers) == files
    assert not any(str(tmp_path.parents[2]) in text for text in files.values())


def test_html(tmp_path, monkeypatch):
    for now, folder in enumerate(("first", "second")):
        monkeypatch.setattr("peakrdl_html.exporter.time.time", lambda now=now: now)
        write_html(MAPS["small"], tmp_path / folder)
    assert "LATTE multi-head attention core" in (tmp_path / "first" / "index.html").read_text()
    pages = sorted(path.relative_to(tmp_path / "first") for path in (tmp_path / "first").rglob("*") if path.is_file())
    text = "".join(path.read_text() for path in (tmp_path / "first" / "content").glob("*.html"))
    assert re.search("SLVERR|tlast|snapshot", text)
    for page in pages:
        assert (tmp_path / "first" / page).read_bytes() == (tmp_path / "second" / page).read_bytes(), page


def test_without_the_extra_a_sentence_says_what_to_install(registers, monkeypatch):
    monkeypatch.setitem(sys.modules, "systemrdl", None)
    with pytest.raises(LatteError, match=r"need the package systemrdl.*pip install 'latte-hw\[registers\]'"):
        register_files(registers)
