"""Bus interfaces, clock, reset and interrupt of the multi-head core, in the words of IP-XACT and Vivado."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from latte_hw.config.top import Reset, TopConfig
from latte_hw.emit.packages.core_files import Port

BUSES = ("s_axil", "s_axis_q", "s_axis_k", "s_axis_v", "m_axis_o")
"""Each is the prefix of its ports."""


@dataclass(frozen=True)
class Interface:
    """Ports that belong together.

    `bus` and `abstraction` are names of Vivado's definitions, as vendor:library:name:version. `ports` gives the port
    of each logical name. `parameters` are what Vivado checks connections by.
    """

    name: str
    bus: str
    is_subordinate: bool
    ports: dict[str, str]
    parameters: dict[str, object] = field(default_factory=dict)

    @property
    def abstraction(self) -> str:
        vendor, library, name, version = self.bus.split(":")
        return f"{vendor}:{library}:{name}_rtl:{version}"


def interfaces(config: TopConfig, ports: Iterable[Port]) -> list[Interface]:
    """Every port in one interface. ValueError for a port that has none."""
    members: dict[str, list[Port]] = {}
    for port in ports:
        name = next((bus for bus in BUSES if port.name.startswith(f"{bus}_")), port.name)
        members.setdefault(name, []).append(port)
    return [_interface(config, name, group) for name, group in members.items()]


def _interface(config: TopConfig, name: str, ports: list[Port]) -> Interface:
    if name == "s_axil":
        return _register_bus(name, ports)
    if name in BUSES:
        return _stream(name, ports)
    if name == "clk":
        associated: dict[str, object] = {"ASSOCIATED_BUSIF": ":".join(BUSES), "ASSOCIATED_RESET": config.reset.value}
        return Interface(name, "xilinx.com:signal:clock:1.0", True, {"CLK": name}, associated)
    if name == config.reset.value:
        polarity = "ACTIVE_LOW" if config.reset is Reset.ARESETN else "ACTIVE_HIGH"
        return Interface(name, "xilinx.com:signal:reset:1.0", True, {"RST": name}, {"POLARITY": polarity})
    if name == "irq":
        level: dict[str, object] = {"SENSITIVITY": "LEVEL_HIGH"}
        return Interface(name, "xilinx.com:signal:interrupt:1.0", False, {"INTERRUPT": name}, level)
    raise ValueError(f"port {name} belongs to no interface")


def _register_bus(name: str, ports: list[Port]) -> Interface:
    width = {port.name: port.width for port in ports}
    parameters: dict[str, object] = {
        "PROTOCOL": "AXI4LITE",
        "DATA_WIDTH": width[f"{name}_wdata"],
        "ADDR_WIDTH": width[f"{name}_awaddr"],
    }
    return Interface(name, "xilinx.com:interface:aximm:1.0", True, _logical(name, ports), parameters)


def _stream(name: str, ports: list[Port]) -> Interface:
    width = {port.name: port.width for port in ports}
    parameters: dict[str, object] = {"TDATA_NUM_BYTES": width[f"{name}_tdata"] // 8}
    parameters |= dict.fromkeys(("HAS_TKEEP", "HAS_TLAST", "HAS_TREADY"), 1)
    parameters |= dict.fromkeys(("HAS_TSTRB", "TID_WIDTH", "TDEST_WIDTH", "TUSER_WIDTH"), 0)
    return Interface(name, "xilinx.com:interface:axis:1.0", name.startswith("s_"), _logical(name, ports), parameters)


def _logical(name: str, ports: list[Port]) -> dict[str, str]:
    return {port.name.removeprefix(f"{name}_").upper(): port.name for port in ports}
