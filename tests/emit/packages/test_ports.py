"""Names, directions and widths of the ports are a contract: they are held against a committed list."""

import json
import re
from pathlib import Path

import pytest

from latte_hw.config.top import TopConfig

SNAPSHOT = Path(__file__).parent / "ports.json"
"""By the reset port. A change here breaks every design that has the core in it: the major version must change, too."""


def ports_of(verilog: str, module: str) -> dict[str, str]:
    """Port to direction and width, as `in 8`, in the order of names; of Verilog with or without types in its header."""
    match = re.search(rf"^module {module} ?\((.*?)^endmodule", verilog, re.M | re.S)
    assert match is not None
    found = re.findall(r"^  (in|out)put (?:wire )?(?:\[(\d+):0\] )?(\w+)[;,]?$", match.group(1), re.M)
    return {name: f"{direction} {int(most or 0) + 1}" for direction, most, name in sorted(found, key=lambda p: p[2])}


@pytest.mark.parametrize("module", ["latte_top", "latte_top_ip"])
def test_the_ports_are_those_of_the_snapshot(folder: Path, config: TopConfig, module: str) -> None:
    snapshot = json.loads(SNAPSHOT.read_text())[config.reset]
    assert ports_of((folder / f"{module}.v").read_text(), module) == snapshot


def test_the_snapshot_of_each_reset_has_the_widths_of_its_configuration() -> None:
    snapshot = json.loads(SNAPSHOT.read_text())
    names = {reset: set(ports) - {reset} for reset, ports in snapshot.items()}
    assert names["rst"] == names["aresetn"]
    assert (snapshot["rst"]["m_axis_o_tdata"], snapshot["aresetn"]["m_axis_o_tdata"]) == ("out 64", "out 32")


def test_a_port_of_another_width_or_name_is_seen(rst_folder: Path) -> None:
    text = (rst_folder / "latte_top_ip.v").read_text()
    ports = ports_of(text, "latte_top_ip")
    for old, new in (("[7:0] s_axis_q_tkeep", "[6:0] s_axis_q_tkeep"), ("wire irq\n", "wire interrupt\n")):
        assert old in text
        assert ports_of(text.replace(old, new), "latte_top_ip") != ports
