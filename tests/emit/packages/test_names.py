"""A core under another name: every file of it says that name, and none the one that it would have had."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from latte_hw.emit.packages.core_files import CoreFiles, Vlnv
from tests.emit.packages.conftest import CONFIGURATIONS, NAME

DEFAULT = re.compile(
    r"latte_top|latte_regs|latte_program|latte_entry|\blatte\.rdl|package_ip|addrmap latte\b|\blatte(__\w+)?_t\b"
    r"|LATTE_(_|REGS|PROGRAM)|vivado_ip\b"
)
"""What only the core without a name may say."""

Named = tuple[Path, CoreFiles]


def test_its_files_are_those_of_its_name(named: Named) -> None:
    folder, files = named
    assert sorted(path.name for path in folder.iterdir()) == sorted(files.purposes)
    assert all(name.startswith(NAME) for name in files.purposes)
    assert not set(files.purposes) & set(CoreFiles().purposes), "both may lie in one folder"


def test_no_file_says_the_name_that_it_would_have_had(named: Named, rst_folder: Path) -> None:
    folder, files = named
    for name in files.purposes:
        text = (folder / name).read_text().replace(f"{NAME}_vivado_ip", "")
        assert not DEFAULT.search(text), f"{name}: {DEFAULT.search(text)}"
    found = {path.name for path in rst_folder.iterdir() if path.is_file() and DEFAULT.search(path.read_text())}
    assert found >= CoreFiles().purposes.keys() - {CoreFiles().ipxact}, "the search must find it where it is"


def test_every_module_begins_with_it(named: Named) -> None:
    folder, files = named
    modules = []
    for name in (files.verilog, files.wrapper, files.testbench):
        modules += re.findall(r"^module \\?(\S+?)(?: ?\(|;|$)", (folder / name).read_text(), re.M)
    assert {NAME, f"{NAME}_ip", f"{NAME}_tb"} <= set(modules)
    assert all(re.fullmatch(rf"{NAME}(_ip|_tb|\..+)?", module) for module in modules)


def test_the_configuration_is_part_of_what_tools_know_it_by(named: Named, rst_folder: Path) -> None:
    """Two configurations of one name are two cores to FuseSoC, IP-XACT and Vivado; so are two names of one."""
    folder, files = named
    found = set()
    for place, names, config in (
        (folder, files, CONFIGURATIONS["aresetn"]),
        (rst_folder, CoreFiles(), CONFIGURATIONS["rst"]),
    ):
        vlnv = Vlnv.of(config, names)
        assert vlnv.library == f"latte_{config.sha256()[:8]}"
        assert json.loads((place / names.description).read_text())["vlnv"] == str(vlnv)
        assert f"\nname: {vlnv}\n" in (place / names.fusesoc).read_text()
        xml = (place / names.ipxact).read_text()
        for tag in ("vendor", "library", "name", "version"):
            assert f"<ipxact:{tag}>{getattr(vlnv, tag)}</ipxact:{tag}>" in xml
        script = (place / names.vivado).read_text()
        assert f"-vendor {vlnv.vendor} -library {vlnv.library} " in script
        assert f"set_property name {vlnv.name} " in script
        found |= {str(vlnv), str(Vlnv.of(config, CoreFiles("third")))}
    assert len(found) == 4


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("kind", ["header", "functions"])
def test_headers_of_two_cores_serve_one_program(
    kind: str, named: Named, rst_folder: Path, generated, tmp_path: Path
) -> None:
    """Of two names; two configurations of one name do not compile, rather than the first hiding the second."""
    folder, files = named

    def compiles(*headers: Path) -> bool:
        lines = [f'#include "{header}"\n' for header in headers]
        (tmp_path / "program.c").write_text("".join(lines))
        command = ["gcc", "-std=c11", "-Wall", "-Werror", "-fsyntax-only", "program.c"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0

    other, default = folder / getattr(files, kind), rst_folder / getattr(CoreFiles(), kind)
    same_name = generated(CONFIGURATIONS["aresetn"]) / default.name
    assert compiles(other, default)
    assert compiles(default, default)
    assert not compiles(default, same_name)
    guards = {re.search(r"#ifndef (\w+)", path.read_text()).group(1) for path in (other, default, same_name)}
    assert len(guards) == 3
    assert all(CONFIGURATIONS[key].sha256()[:8].upper() in " ".join(guards) for key in CONFIGURATIONS)


def test_the_description_says_what_its_numbers_count(folder: Path) -> None:
    description = json.loads((folder / "latte_top.json").read_text())
    assert description["units"].keys() == {"ports", "dsp_products", "latencies", "counters"}
    assert "clock cycles" in description["units"]["latencies"]
    assert "bits" in description["units"]["ports"]
    counters = {name.removesuffix("_lo") for name in re.findall(r"} (\w+_lo) @", (folder / "latte.rdl").read_text())}
    assert counters == description["counters"].keys()
