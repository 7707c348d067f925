"""FuseSoC runs the targets of the core that it finds beside the Verilog; a core that is broken does not pass."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from latte_hw.config.top import TopConfig
from latte_hw.emit.packages.core_files import CoreFiles, Vlnv
from sim.simulators import verilator_folder
from tests.emit.packages.conftest import CONFIGURATIONS, NAME

pytest.importorskip("fusesoc")

OFFLINE = """
import socket
def refuse(*_):
    raise OSError("FuseSoC looked online")
socket.socket.connect = socket.getaddrinfo = refuse
"""
"""Python runs it at its start."""


def fusesoc(
    target: str, cores: Path, work: Path, core: str = "latte_top", tool: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs a target of a core in the folder `cores`, with nothing of the user's settings and without network."""
    home = work / "home"
    home.mkdir(parents=True, exist_ok=True)
    (home / "sitecustomize.py").write_text(OFFLINE)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "VERILATOR_"))}
    if target == "lint" or tool == "verilator":
        env["PATH"] = f"{verilator_folder.folder() / 'bin'}{os.pathsep}{env['PATH']}"
    env |= {"HOME": str(home), "PYTHONPATH": str(home)}
    command = [sys.executable, "-m", "fusesoc.main", "--cores-root", str(cores), "run", "--target", target]
    command += ["--build-root", str(work / "build"), core, *(["--tool", tool] if tool else [])]
    return subprocess.run(command, env=env, cwd=work, capture_output=True, text=True, timeout=300)


needs_verilator = pytest.mark.skipif(shutil.which("perl") is None, reason="Verilator needs perl")
needs_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus is not installed")


def test_the_core_names_every_file_but_itself_and_the_manifest(folder: Path) -> None:
    text = (folder / "latte_top.core").read_text()
    named = [name.strip() for files in re.findall(r"files: \[(.*)\]", text) for name in files.split(",")]
    assert sorted(named) == sorted(CoreFiles().purposes.keys() - {"latte_top.core", "manifest.json"})
    assert all((folder / name).is_file() for name in named)


@needs_verilator
def test_lint_is_clean(folder: Path, tmp_path: Path) -> None:
    done = fusesoc("lint", folder, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "%Warning" not in done.stdout + done.stderr


@needs_icarus
def test_sim_passes(folder: Path, config: TopConfig, tmp_path: Path) -> None:
    done = fusesoc("sim", folder, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^PASS: \d+ checks, 2 layers of {2 * config.cores + 2} heads, 3 queries,", done.stdout, re.M)


@needs_icarus
def test_cores_of_two_names_lie_under_one_root(named: tuple[Path, CoreFiles], rst_folder: Path, tmp_path: Path) -> None:
    """One after the other in one work folder, each simulates itself."""
    cores = tmp_path / "cores"
    for name, source in (("left", named[0]), ("right", rst_folder)):
        shutil.copytree(source, cores / name, ignore=shutil.ignore_patterns("vivado_ip"))
    for core, config in ((NAME, CONFIGURATIONS["aresetn"]), ("latte_top", CONFIGURATIONS["rst"])):
        done = fusesoc("sim", cores, tmp_path, core)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f" 2 layers of {2 * config.cores + 2} heads, " in done.stdout


@needs_icarus
def test_two_configurations_of_one_name_are_not_mixed_up(generated, tmp_path: Path) -> None:
    """In one work folder each simulates itself; under one root the short name is refused, and the long one is not."""
    folders = {key: generated(config) for key, config in CONFIGURATIONS.items()}
    for key in ("rst", "aresetn", "rst"):
        done = fusesoc("sim", folders[key], tmp_path)
        assert f" 2 layers of {2 * CONFIGURATIONS[key].cores + 2} heads, " in done.stdout, done.stdout + done.stderr
    for key, folder in folders.items():
        shutil.copytree(folder, tmp_path / "cores" / key, ignore=shutil.ignore_patterns("vivado_ip"))
    done = fusesoc("sim", tmp_path / "cores", tmp_path)
    assert done.returncode != 0
    assert "'latte_top' is ambiguous" in done.stderr
    config = CONFIGURATIONS["aresetn"]
    done = fusesoc("sim", tmp_path / "cores", tmp_path, str(Vlnv.of(config, CoreFiles())))
    assert f" 2 layers of {2 * config.cores + 2} heads, " in done.stdout, done.stdout + done.stderr


# --- negative controls ------------------------------------------------------------------------------------------------


@pytest.fixture
def broken(rst_folder: Path, tmp_path: Path) -> Callable[[str, str, str], Path]:
    """A copy of the core with a place of a file changed."""

    def change(name: str, old: str, new: str) -> Path:
        folder = tmp_path / "broken"
        shutil.copytree(rst_folder, folder)
        text, count = re.subn(old, new, (folder / name).read_text(), count=1)
        assert count == 1, f"{name} has no {old}"
        (folder / name).write_text(text)
        return folder

    return change


@needs_verilator
@pytest.mark.parametrize(
    ("old", "new", "warning"),
    [
        (r"\.irq\(irq\)", ".irq()", "UNDRIVEN"),
        (r"\[7:0\] s_axis_q_tkeep", "[6:0] s_axis_q_tkeep", "WIDTH"),
        (r"output wire irq\n\);", "output wire irq\n);\n  wire forgotten = clk & unknown;", "unknown"),
    ],
)
def test_lint_fails_for_what_is_not_waived(broken, tmp_path: Path, old: str, new: str, warning: str) -> None:
    done = fusesoc("lint", broken("latte_top_ip.v", old, new), tmp_path / "run")
    assert done.returncode != 0
    assert warning in done.stdout + done.stderr


FAULTS = {
    "k and v swapped": ("latte_top_ip.v", r"\.s_axis_k_tdata\(s_axis_k_tdata\)", ".s_axis_k_tdata(s_axis_v_tdata)"),
    "low bits of k lost": (
        "latte_top_ip.v",
        r"\.s_axis_k_tdata\(s_axis_k_tdata\)",
        ".s_axis_k_tdata(s_axis_k_tdata & {8{8'hfe}})",
    ),
    "irq never": ("latte_top_ip.v", r"\.irq\(irq\)", ".irq()"),
    "another id": ("latte_top.v", "4c415454", "4c415455"),
    "reset never ends": ("latte_top_ip.v", r"\.rst\(rst\)", ".rst(1'b1)"),
    "tlast never": ("latte_top_ip.v", r"\.m_axis_o_tlast\(m_axis_o_tlast\)", ".m_axis_o_tlast()"),
}


@needs_icarus
@pytest.mark.parametrize("fault", FAULTS)
def test_sim_fails_for_a_broken_core(broken, tmp_path: Path, fault: str) -> None:
    done = fusesoc("sim", broken(*FAULTS[fault]), tmp_path / "run")
    assert done.returncode != 0
    assert "FATAL" in done.stdout
    assert "PASS" not in done.stdout


@needs_verilator
@pytest.mark.slow
@pytest.mark.parametrize("fault", ["another id", "low bits of k lost"])
def test_sim_fails_in_verilator_for_a_broken_core(broken, tmp_path: Path, fault: str) -> None:
    """What passes in Verilator is run by tests/docs/test_integration_page.py."""
    done = fusesoc("sim", broken(*FAULTS[fault]), tmp_path / "run", tool="verilator")
    assert done.returncode != 0
    assert re.search("%(Fatal|Error): .* expected, ", done.stdout + done.stderr)
    assert "PASS" not in done.stdout


def test_the_network_is_closed_to_fusesoc(tmp_path: Path) -> None:
    """What the other tests rely on when they pass."""
    (tmp_path / "sitecustomize.py").write_text(OFFLINE)
    code = "import urllib.request; urllib.request.urlopen('http://192.0.2.1')"
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert "FuseSoC looked online" in done.stderr
