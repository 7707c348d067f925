"""The core for Vivado: a wrapper whose ports say what they are, and the script that packages it as IP."""

from collections.abc import Iterable, Sequence

from latte_hw.config.top import TopConfig
from latte_hw.emit.packages.core_files import CoreFiles, Port, Vlnv, heading
from latte_hw.emit.packages.interfaces import Interface, interfaces
from latte_hw.emit.packages.templates import render
from latte_hw.system.csr.model import RegisterMap


def ip_wrapper(config: TopConfig, files: CoreFiles, ports: Sequence[Port]) -> str:
    """Verilog of the wrapper: the ports of the core under the same names, with the attributes of UG994.

    With them "Add Module" of a block design finds the interfaces, too. A wrapper, because Yosys lists ports between
    the core's wires, while this is the form that the manual shows.
    """
    owners = {port: bus for bus in interfaces(config, ports) for port in bus.ports.values()}
    declarations = ",\n".join(_declaration(owners[port.name], port) for port in ports)
    connections = ",\n".join(f"    .{port.name}({port.name})" for port in ports)
    return (
        f"{heading(config, 'wrapper for Vivado')}\n"
        f"module {files.wrapper_module} (\n{declarations}\n);\n"
        f"  {files.top} core (\n{connections}\n  );\n"
        f"endmodule\n"
    )


def _declaration(owner: Interface, port: Port) -> str:
    logical = next(logical for logical, name in owner.ports.items() if name == port.name)
    lines = [f'  (* X_INTERFACE_INFO = "{owner.bus} {owner.name} {logical}" *)']
    if port.name == next(iter(owner.ports.values())):  # parameters belong to the interface: any one port bears them
        values = [f"XIL_INTERFACENAME {owner.name}", *(f"{name} {value}" for name, value in owner.parameters.items())]
        lines.append(f'  (* X_INTERFACE_PARAMETER = "{", ".join(values)}" *)')
    bits = f"[{port.width - 1}:0] " if port.width > 1 else ""
    return "\n".join([*lines, f"  {'input' if port.is_input else 'output'} wire {bits}{port.name}"])


def packaging_script(config: TopConfig, files: CoreFiles, registers: RegisterMap, ports: Iterable[Port]) -> str:
    """Tcl for Vivado in batch mode: makes an IP with its interfaces and the memory map of the registers.

    It was run with Vivado's commands mocked, not with Vivado.
    """
    vlnv = Vlnv.of(config, files)
    major, minor, patch = vlnv.version.split(".")[:3]
    return render(
        "package_ip.tcl",
        {
            "heading": heading(config, "packaging for Vivado", "#"),
            "script": files.vivado,
            "folder": files.vivado_folder,
            "files": f"{files.verilog} {files.wrapper}",
            "ip_top": files.wrapper_module,
            "wrapper": files.wrapper,
            "vendor": vlnv.vendor,
            "library": vlnv.library,
            "name": vlnv.name,
            "version": f"{major}.{minor}",
            "revision": patch,
            "title": f"{registers.title}, {files.top}",
            "sha256": config.sha256(),
            "interfaces": "\n".join(_tcl_interface(bus) for bus in interfaces(config, ports)),
            "register_bus": "s_axil",
            "register_bytes": 1 << registers.address_bits,
        },
    )


def _tcl_interface(bus: Interface) -> str:
    mode = "slave" if bus.is_subordinate else "master"
    pairs = "\n".join(f"    {logical} {port}" for logical, port in bus.ports.items())
    values = "\n".join(f"    {name} {value}" for name, value in bus.parameters.items())
    return f"interface {bus.name} {mode} {bus.bus} {bus.abstraction} {{\n{pairs}\n}} {{\n{values}\n}}"
