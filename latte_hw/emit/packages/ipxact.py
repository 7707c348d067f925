"""The core as an IP-XACT component, IEEE 1685-2014: bus interfaces, ports and file sets around the register map."""

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from latte_hw.config.top import TopConfig
from latte_hw.emit.packages.core_files import CoreFiles, Port, Vlnv, heading
from latte_hw.emit.packages.interfaces import Interface, interfaces

NAMESPACE = "http://www.accellera.org/XMLSchema/IPXACT/1685-2014"

AMBA = {"aximm": ("AXI4-Lite", "r0p0_0"), "axis": ("AXI4Stream", "r0p0_1")}
"""Arm's own bus definitions, name and version, by the name of Vivado's. Clock, reset and interrupt have none that every
tool knows: they are ports with a description."""

NOTES = {
    "clk": "Clock of all ports.",
    "rst": "Synchronous reset, active high.",
    "aresetn": "Synchronous reset, active low.",
    "irq": "Interrupt, a level, active high.",
}
"""Of ports that are in no bus."""

VERILOG, INCLUDED, ANY_FILE = "verilogSource", "cSource", "user"
"""Types of files."""


def component(registers: str, config: TopConfig, files: CoreFiles, ports: Sequence[Port]) -> str:
    """The IP-XACT of a register map, as PeakRDL writes it, completed."""
    _keep_prefixes()
    root = ElementTree.fromstring(registers)
    vlnv = Vlnv.of(config, files)
    for tag in ("vendor", "library", "name", "version"):
        _child(root, tag).text = getattr(vlnv, tag)
    memory_maps = _child(root, "memoryMaps")
    memory_map = _child(_child(memory_maps, "memoryMap"), "name").text or ""
    buses = [bus for bus in interfaces(config, ports) if _kind(bus) in AMBA]
    root.insert(list(root).index(memory_maps), _element("busInterfaces", *(_bus(bus, memory_map) for bus in buses)))
    root.append(_model(files, ports))
    root.append(_file_sets(files))
    description = f"LATTE multi-head attention core. Configuration sha256 {config.sha256()}"
    root.append(_element("description", text=description))
    ElementTree.indent(root)
    note = heading(config, "IP-XACT, its registers written by PeakRDL", "").replace("\n", " ").strip()
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- {note} -->\n{body}\n'


def _bus(bus: Interface, memory_map: str) -> Element:
    name, version = AMBA[_kind(bus)]
    mode = _element("slave" if bus.is_subordinate else "master")
    if "PROTOCOL" in bus.parameters:  # the register bus
        mode.append(_element("memoryMapRef", memoryMapRef=memory_map))
    maps = _element("portMaps", *(_port_map(logical, physical) for logical, physical in bus.ports.items()))
    abstraction = _element("abstractionRef", **_amba(f"{name}_rtl", version))
    return _element(
        "busInterface",
        _element("name", text=bus.name),
        _element("busType", **_amba(name, version)),
        _element("abstractionTypes", _element("abstractionType", abstraction, maps)),
        mode,
    )


def _amba(name: str, version: str) -> dict[str, str]:
    return {"vendor": "amba.com", "library": "AMBA4", "name": name, "version": version}


def _port_map(logical: str, physical: str) -> Element:
    return _element(
        "portMap",
        _element("logicalPort", _element("name", text=logical)),
        _element("physicalPort", _element("name", text=physical)),
    )


def _model(files: CoreFiles, ports: Iterable[Port]) -> Element:
    """Two views of the same ports: for synthesis, and with the testbench for simulation."""
    views, instantiations = _element("views"), _element("instantiations")
    for name, module, file_sets in (
        ("rtl", files.top, ["rtl"]),
        ("simulation", files.testbench_module, ["rtl", "wrapper", "testbench"]),
    ):
        views.append(
            _element("view", _element("name", text=name), _element("componentInstantiationRef", text=f"{name}_files"))
        )
        instantiations.append(
            _element(
                "componentInstantiation",
                _element("name", text=f"{name}_files"),
                _element("language", text="verilog"),
                _element("moduleName", text=module),
                *(_element("fileSetRef", _element("localName", text=file_set)) for file_set in file_sets),
            )
        )
    return _element("model", views, instantiations, _element("ports", *map(_port, ports)))


def _port(port: Port) -> Element:
    wire = _element("wire", _element("direction", text="in" if port.is_input else "out"))
    if port.width > 1:
        bounds = (_element("left", text=str(port.width - 1)), _element("right", text="0"))
        wire.append(_element("vectors", _element("vector", *bounds)))
    named = [_element("name", text=port.name)]
    if port.name in NOTES:
        named.append(_element("description", text=NOTES[port.name]))
    return _element("port", *named, wire)


def _file_sets(files: CoreFiles) -> Element:
    """Every file but the component itself, the manifest and FuseSoC's own."""
    sets = {
        "rtl": {files.verilog: VERILOG},
        "wrapper": {files.wrapper: VERILOG},
        "testbench": {files.testbench: VERILOG},
        "lint": {files.lint: ANY_FILE},
        "software": {
            **dict.fromkeys((files.header, files.functions), INCLUDED),
            **dict.fromkeys((files.rdl, files.description), ANY_FILE),
        },
        "vivado": {files.vivado: "tclSource"},
    }
    return _element(
        "fileSets",
        *(_element("fileSet", _element("name", text=name), *map(_file, *zip(*content.items(), strict=True)))
          for name, content in sets.items()),
    )  # fmt: skip


def _file(name: str, kind: str) -> Element:
    attributes = {"user": "text"} if kind == ANY_FILE else {}
    more = [_element("isIncludeFile", text="true")] if kind == INCLUDED else []
    return _element("file", _element("name", text=name), _element("fileType", text=kind, **attributes), *more)


def _kind(bus: Interface) -> str:
    """Name of the bus definition: vendor:library:name:version."""
    return bus.bus.split(":")[2]


def _element(tag: str, *children: Element, text: str | None = None, **attributes: str) -> Element:
    element = Element(f"{{{NAMESPACE}}}{tag}", attributes)
    element.text = text
    element.extend(children)
    return element


def _child(parent: Element, tag: str) -> Element:
    """The first child of that tag, which must be there."""
    found = parent.find(f"{{{NAMESPACE}}}{tag}")
    if found is None:
        raise ValueError(f"IP-XACT of the registers has no {tag}")
    return found


def _keep_prefixes() -> None:
    """Prefixes that tools expect, instead of ns0 and ns1."""
    ElementTree.register_namespace("ipxact", NAMESPACE)
    ElementTree.register_namespace("xsi", "http://www.w3.org/2001/XMLSchema-instance")
