"""The packaging script, run with Vivado's commands mocked, and the wrapper's attributes: every port has its place."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from latte_hw.config.top import Reset, TopConfig

MOCK = Path(__file__).parent / "vivado_mock.tcl"
BUSES = ("s_axil", "s_axis_q", "s_axis_k", "s_axis_v", "m_axis_o")

# What a manager drives, by the AXI specifications; the rest of an interface's signals is driven by its subordinate.
MANAGER = {
    "axis": {"TDATA", "TKEEP", "TLAST", "TVALID"},
    "aximm": {"AWADDR", "AWPROT", "AWVALID", "WDATA", "WSTRB", "WVALID", "BREADY", "ARADDR", "ARPROT", "ARVALID"}
    | {"RREADY"},
}
SUBORDINATE = {
    "axis": {"TREADY"},
    "aximm": {"AWREADY", "WREADY", "BRESP", "BVALID", "ARREADY", "RDATA", "RRESP", "RVALID"},
}

needs_tcl = pytest.mark.skipif(shutil.which("tclsh") is None, reason="tclsh is not installed")


def package(script: Path, *inferred: str) -> list[list[str]]:
    """What the script did, command by command. AssertionError with Tcl's words when it failed."""
    done = subprocess.run(["tclsh", MOCK, script, *inferred], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def properties(log: list[list[str]]) -> dict[str, dict[str, str]]:
    """Object to its properties."""
    found: dict[str, dict[str, str]] = {}
    for command, *words in log:
        if command == "property":
            found.setdefault(words[0], {})[words[1]] = words[2]
    return found


def wrapper_ports(folder: Path) -> dict[str, tuple[str, int]]:
    """Name to direction and width."""
    text = (folder / "latte_top_ip.v").read_text()
    found = re.findall(r"^  (in|out)put wire (?:\[(\d+):0\] )?(\w+),?$", text, re.M)
    return {name: (direction, int(most or 0) + 1) for direction, most, name in found}


def interfaces(found: dict[str, dict[str, str]]) -> dict[str, tuple[str, str, dict[str, str], dict[str, str]]]:
    """Name to bus type, mode, logical to physical ports, parameters; as the script has left them."""
    return {
        bus.removeprefix("bus/"): (
            values["bus_type_vlnv"],
            values["interface_mode"],
            {m.split("/")[-1]: p["physical_name"] for m, p in found.items() if m.startswith(f"map/{bus}/")},
            {m.split("/")[-1]: p["value"] for m, p in found.items() if m.startswith(f"parameter/{bus}/")},
        )
        for bus, values in found.items()
        if bus.startswith("bus/")
    }


def check(script: Path, folder: Path, config: TopConfig, *inferred: str) -> None:
    """Everything that the IP must have."""
    log = package(script, *inferred)
    sources = [words[0] for command, *words in log if command == "source"]
    assert sources == [str(folder / "latte_top.v"), str(folder / "latte_top_ip.v")]
    assert all(Path(source).is_file() for source in sources)
    assert [command for command, *_ in log[-5:]] == [
        "create_xgui_files", "update_checksums", "check_integrity", "save_core", "close_project",
    ]  # fmt: skip
    found, ports = properties(log), wrapper_ports(folder)
    assert found["fileset"] == {"top": "latte_top_ip"}
    assert (found["core"]["name"], found["core"]["version"]) == ("latte_top", "0.1")
    identity = dict(zip(*[iter(next(words for words in log if words[0] == "package_project")[3:])] * 2, strict=False))
    assert (identity["-vendor"], identity["-library"]) == ("latte-hw", f"latte_{config.sha256()[:8]}")
    assert config.sha256() in found["core"]["description"]

    buses = interfaces(found)
    owned = [port for _, _, members, _ in buses.values() for port in members.values()]
    assert sorted(owned) == sorted(ports)
    for name in BUSES:
        bus, mode, members, parameters = buses[name]
        kind = bus.split(":")[2]
        assert (kind, mode) == ("aximm" if name == "s_axil" else "axis", "master" if name == "m_axis_o" else "slave")
        assert members.keys() == MANAGER[kind] | SUBORDINATE[kind]
        for logical, port in members.items():
            driven_inside = logical in (MANAGER if mode == "master" else SUBORDINATE)[kind]
            assert ports[port][0] == ("out" if driven_inside else "in"), port
            assert port == f"{name}_{logical.lower()}"
        if kind == "axis":
            assert int(parameters["TDATA_NUM_BYTES"]) == ports[members["TKEEP"]][1] == config.stream_bytes
        else:
            assert parameters["PROTOCOL"] == "AXI4LITE"
    reset = config.reset.value
    assert buses["clk"] == (
        "xilinx.com:signal:clock:1.0", "slave", {"CLK": "clk"},
        {"ASSOCIATED_BUSIF": ":".join(BUSES), "ASSOCIATED_RESET": reset},
    )  # fmt: skip
    polarity = "ACTIVE_LOW" if config.reset is Reset.ARESETN else "ACTIVE_HIGH"
    assert buses[reset] == ("xilinx.com:signal:reset:1.0", "slave", {"RST": reset}, {"POLARITY": polarity})
    assert buses["irq"] == (
        "xilinx.com:signal:interrupt:1.0", "master", {"INTERRUPT": "irq"}, {"SENSITIVITY": "LEVEL_HIGH"},
    )  # fmt: skip
    for name, (bus, *_) in buses.items():
        assert found[f"bus/{name}"]["abstraction_type_vlnv"] == bus.replace(":1.0", "_rtl:1.0")
    assert found["bus/s_axil"]["slave_memory_map_ref"] == "s_axil"
    block = {"usage": "register", "base_address": "0", "width": "32", "range": str(2 ** ports["s_axil_awaddr"][1])}
    assert found["block/memory/s_axil/registers"] == block


@needs_tcl
@pytest.mark.parametrize("inferred", [(), BUSES, (*BUSES, "clk", "irq", "reset")])
def test_the_script_gives_every_port_its_interface(folder: Path, config: TopConfig, inferred: tuple[str, ...]) -> None:
    found = [config.reset.value if name == "reset" else name for name in inferred]
    check(folder / "package_ip.tcl", folder, config, *found)


@needs_tcl
def test_the_ip_lies_in_the_folder_that_is_asked_for(rst_folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.tcl"
    script.write_text(f"set argv [list {tmp_path}/mine]\nsource {rst_folder}/package_ip.tcl\n")
    for path, expected in ((rst_folder / "package_ip.tcl", rst_folder / "vivado_ip"), (script, tmp_path / "mine")):
        log = package(path)
        assert next(words for words in log if words[0] == "package_project")[1:3] == ["-root_dir", str(expected)]


FAULTS = {
    "port left out": (r"    TKEEP s_axis_q_tkeep\n", ""),
    "port in two places": (r"TKEEP s_axis_k_tkeep", "TKEEP s_axis_q_tkeep"),
    "wrong mode": (r"interface m_axis_o master", "interface m_axis_o slave"),
    "wrong polarity": (r"ACTIVE_HIGH", "ACTIVE_LOW"),
    "clock of fewer buses": (r":m_axis_o\b", ""),
    "smaller range": (r"range 8192", "range 4096"),
    "missing source": (r"latte_top_ip\.v\}", "absent.v}"),
    "unknown command": (r"ipx::save_core", "ipx::store_core"),
    "unknown property": (r"interface_mode", "mode"),
}


@needs_tcl
@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_script_is_noticed(rst_folder: Path, tmp_path: Path, fault: str) -> None:
    config = TopConfig(head_dim=8, max_keys=16, keys_per_cycle=2, causal=True)
    for source in rst_folder.iterdir():
        shutil.copy(source, tmp_path)
    script = tmp_path / "package_ip.tcl"
    check(script, tmp_path, config)
    text, count = re.subn(*FAULTS[fault], script.read_text())
    assert count
    script.write_text(text)
    with pytest.raises(AssertionError):
        check(script, tmp_path, config)


def test_the_attributes_say_what_the_script_says(folder: Path) -> None:
    """Without Tcl: the script's lists are read as text."""
    script, wrapper = (folder / "package_ip.tcl").read_text(), (folder / "latte_top_ip.v").read_text()
    found = {}
    for name, _, bus, _, ports, parameters in re.findall(
        r"^interface (\S+) (\S+) (\S+) (\S+) \{\n(.*?)\} \{\n(.*?)\}$", script, re.M | re.S
    ):
        found |= {port: f"{bus} {name} {logical}" for logical, port in map(str.split, ports.strip().splitlines())}
        values = ", ".join(" ".join(line.split()) for line in parameters.strip().splitlines())
        assert f'X_INTERFACE_PARAMETER = "XIL_INTERFACENAME {name}, {values}"' in wrapper
    blocks = re.findall(r'X_INTERFACE_INFO = "(.*?)".*?put wire (?:\[\d+:0\] )?(\w+)', wrapper, re.S)
    assert {port: text for text, port in blocks} == found
    assert found.keys() == wrapper_ports(folder).keys()
