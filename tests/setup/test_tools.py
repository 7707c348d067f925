"""Tools that are missing: each is named with the package that brings it, before anything is compiled."""

import shutil
import sys
from pathlib import Path

import pytest

from latte_hw.host import packages
from tests.setup.conftest import ROOT, Run, refused

DEBIAN = {"ID": "debian", "VERSION_ID": "12"}


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.platform, "freedesktop_os_release", lambda: DEBIAN)


@pytest.fixture
def static_python(tmp_path: Path) -> str:
    """PYTHONPATH on which no Python has a shared library, as on a Debian with nothing but `python3`."""
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "find_libpython.py").write_text("def find_libpython(): return None\n")
    return f"{tmp_path / 'static'}:{ROOT}"


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
def test_a_static_python_is_named_before_anything_is_compiled(
    simulator: str, latte: Run, static_python: str, trace_file: Path, tmp_path: Path
):
    if simulator == "icarus" and shutil.which("iverilog") is None:
        pytest.skip("needs iverilog")
    done = latte(
        "simulate", trace_file, "-o", "out.npz", "--simulator", simulator,
        PYTHONPATH=static_python, LATTE_BUILD=tmp_path / "builds",
    )  # fmt: skip
    refused(done, f"cocotb loads Python from a shared library, which {sys.executable}", packages.shared_python_remedy())
    assert not (tmp_path / "builds").exists()
    assert not (tmp_path / "out.npz").exists()


def test_the_demo_says_so_at_once(run: Run, static_python: str):
    done = run("-m", "sim.reports.demo", PYTHONPATH=static_python)
    refused(done, "demo: cocotb loads Python from a shared library")


def test_doctor_says_so(latte: Run, static_python: str):
    done = latte("doctor", PYTHONPATH=static_python)
    sentence = (
        "shared libpython is missing, so this will not work: make demo and latte simulate on the Verilog, in any "
    )
    assert sentence + f"simulator. To fix it: {packages.shared_python_remedy()}" in done.stdout


@pytest.mark.parametrize(
    ("base", "remedy"),
    [
        ("/usr", "apt-get install libpython3.12"),
        ("/home/me/.pyenv/versions/3.12.1", "PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install --force 3.12.1"),
        ("/opt/python", "take a Python 3.12 that was configured with --enable-shared"),
    ],
)
@pytest.mark.usefixtures("debian")
def test_the_remedy_fits_the_interpreter(base: str, remedy: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packages.sys, "base_prefix", base)
    monkeypatch.setattr(packages.sys, "version_info", (3, 12, 1))
    monkeypatch.setattr(packages.platform, "python_version", lambda: "3.12.1")
    assert packages.shared_python_remedy().startswith(remedy)


@pytest.mark.usefixtures("debian")
def test_programs_have_the_names_of_their_packages():
    assert packages.remedy("perl", "g++") == "apt-get install perl g++"
    assert packages.remedy("iverilog", "vvp") == "apt-get install iverilog"
    assert packages.remedy("tclsh") == "apt-get install tcl"


def test_elsewhere_there_is_no_apt_get(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packages.platform, "freedesktop_os_release", lambda: {"ID": "fedora"})
    assert packages.remedy("perl") == "install perl"


@pytest.mark.parametrize("missing", ["perl", "make", "g++"])
def test_a_missing_program_is_named_with_its_package(missing: str, latte: Run, trace_file: Path, tmp_path: Path):
    path = tmp_path / "bin"
    path.mkdir()
    for program in {"perl", "make", "g++"} - {missing}:
        found = shutil.which(program)
        if found is None:
            pytest.skip(f"needs {program}")
        (path / program).symlink_to(found)
    done = latte("simulate", trace_file, "-o", "out.npz", PATH=path, LATTE_BUILD=tmp_path / "builds")
    refused(done, f"the Verilator simulation needs `{missing}`, which is not on PATH: {packages.remedy(missing)}")


def test_without_the_extra_for_simulation(run: Run, tmp_path: Path):
    code = (
        "import sys; sys.modules['cocotb_tools'] = None; from latte_hw.host import terminal;"
        "from sim.simulators import builds;"
        "terminal.run(lambda: builds.check('verilator') and 0)"
    )
    refused(run("-c", code, LATTE_BUILD=tmp_path), "the simulation needs cocotb_tools: pip install 'latte-hw[sim]'")
