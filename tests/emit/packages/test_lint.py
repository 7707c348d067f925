"""Verilators that are too old for the core say so themselves."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from latte_hw.emit.packages.lint import LEAST_VERILATOR, LINT_WAIVERS
from latte_hw.host.build_folder import build_folder

DEBIAN_12 = "5.006"


@pytest.fixture(scope="session")
def debian_verilator() -> Path:
    """The program of Debian 12's package, which is fetched and not installed; kept for later runs."""
    folder = build_folder() / "debian-verilator"
    program = folder / "usr" / "bin" / "verilator_bin"
    if not program.exists():
        if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            pytest.skip("this is no Debian")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        done = subprocess.run(["apt-get", "download", "verilator"], cwd=folder, capture_output=True, text=True)
        packages = list(folder.glob("verilator_5.006-*.deb"))
        if not packages:
            pytest.skip(f"Debian 12's Verilator cannot be had: {done.stderr.strip()[-200:]}")
        subprocess.run(["dpkg", "-x", str(packages[0]), str(folder)], check=True)
    return program


def test_debian_s_verilator_is_refused_in_a_sentence(debian_verilator: Path, rst_folder: Path) -> None:
    env = os.environ | {"VERILATOR_ROOT": str(debian_verilator.parents[1] / "share" / "verilator")}
    version = subprocess.run([debian_verilator, "--version"], env=env, capture_output=True, text=True)
    if version.returncode:
        pytest.skip(f"Debian's Verilator does not start here: {version.stderr.strip()[-200:]}")
    assert f"Verilator {DEBIAN_12} " in version.stdout
    command = [debian_verilator, "--lint-only", "-Wall", "latte_top.vlt", "latte_top.v"]
    done = subprocess.run(command, cwd=rst_folder, env=env, capture_output=True, text=True)
    assert done.returncode != 0
    first = done.stderr.splitlines()[:2]
    assert "latte_top.vlt" in first[0]
    assert f"this Verilator is older than {LEAST_VERILATOR}, which the core needs" in first[1]


def test_the_sentence_stands_before_every_waiver(rst_folder: Path) -> None:
    rules = [line for line in (rst_folder / "latte_top.vlt").read_text().splitlines() if line.startswith("lint_off")]
    assert f"older than {LEAST_VERILATOR}" in rules[0]
    assert len(rules) == len(LINT_WAIVERS) + 1
    assert all(line.endswith('-file "*latte_top.v"') for line in rules[1:])
