"""Folders that are not there, cannot be written, belong to somebody else or are full: one sentence each."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.setup.conftest import ROOT, Run, refused

NO_FOLDER = "there is no folder for builds, because HOME is not set and user 54321 has no entry in the list of users"
SET = "set LATTE_BUILD to a folder that can be written"
CHECK = """
from latte_hw.host import terminal
from sim.simulators import builds
terminal.run(lambda: builds.check("verilator") and 0)
"""
SHARED = pytest.mark.usefixtures("simulator_tools")

COUNTER = "module counter(input clk, output reg [3:0] n);\n  always @(posedge clk) n <= n + 4'd1;\nendmodule\n"
BUILD = f"""
import pathlib
from latte_hw.host import terminal
from sim.simulators import builds
pathlib.Path("counter.v").write_text({COUNTER!r})
terminal.run(lambda: builds.build(pathlib.Path("counter.v"), "counter", "verilator") and 0)
"""


@pytest.fixture
def simulator_tools() -> None:
    from latte_hw.config.errors import LatteError
    from sim.simulators import builds

    try:
        builds.check("verilator")
    except LatteError as error:
        pytest.skip(str(error))


# --- no home ----------------------------------------------------------------------------------------------------------


def test_an_empty_environment_is_enough(latte: Run, trace_file: Path):
    done = latte("golden", trace_file, "-o", "out.npz")
    assert (done.returncode, done.stderr) == (0, "")
    assert latte("doctor").returncode == 0


@SHARED
def test_an_empty_environment_is_enough_to_find_the_simulator(run: Run, tmp_path: Path):
    done = run("-c", CHECK, LATTE_BUILD=tmp_path / "builds")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["generate", "simulate"])
def test_neither_home_nor_user(command: str, latte: Run, nobody: tuple[str, ...], trace_file: Path):
    arguments = [trace_file, "-o", "out.npz"] if command == "simulate" else ["-o", "out"]
    refused(latte(command, *arguments, under=nobody), NO_FOLDER, SET)


def test_neither_home_nor_user_but_a_build_folder(run: Run, nobody: tuple[str, ...], tmp_path: Path):
    code = "from latte_hw.host.wasm import translation_environment as e; print(sorted(set(e().values())))"
    done = run("-c", code, under=nobody, LATTE_BUILD=tmp_path / "builds")
    assert done.stdout == f"{[str(tmp_path / 'builds' / 'wasm')]}\n", done.stderr
    assert (tmp_path / "builds" / "wasm").is_dir()


@pytest.mark.parametrize("command", ["generate", "simulate"])
def test_a_home_that_cannot_be_written(command: str, latte: Run, tmp_path: Path, trace_file: Path):
    (tmp_path / "home").write_text("a file in the way")
    arguments = [trace_file, "-o", "out.npz"] if command == "simulate" else ["-o", "out"]
    folder = tmp_path / "home" / ".cache" / "latte-hw"
    refused(latte(command, *arguments, HOME=tmp_path / "home"), f"build folder {folder} cannot be used", SET)
    assert not (tmp_path / "out").exists()


def test_a_home_that_can_be_written_has_the_builds(latte: Run, tmp_path: Path):
    found = json.loads(latte("doctor", "--json", HOME=tmp_path).stdout)["build_folder"]
    assert found == {"path": str(tmp_path / ".cache" / "latte-hw"), "problem": None}


def test_latte_build_comes_first(latte: Run, nobody: tuple[str, ...], tmp_path: Path):
    done = latte("doctor", under=nobody, LATTE_BUILD=tmp_path / "mine", HOME="/none", XDG_CACHE_HOME="/none")
    sentence = f"Simulations are built, and kept, in {tmp_path}/mine, which can be written (LATTE_BUILD names it)."
    assert sentence in done.stdout.splitlines()


def test_doctor_names_a_build_folder_that_cannot_be_written(latte: Run, tmp_path: Path):
    (tmp_path / "file").write_text("")
    done = latte("doctor", LATTE_BUILD=tmp_path / "file")
    assert f"build folder {tmp_path}/file cannot be used" in done.stdout
    assert done.returncode == 0, "what needs no build works"


# --- somebody else's, and full ----------------------------------------------------------------------------------------


@SHARED
def test_the_build_folder_of_another_user(run: Run, nobody: tuple[str, ...], tmp_path: Path):
    folder = tmp_path / "builds"
    folder.mkdir(mode=0o755)
    owner = ""
    if os.geteuid() == 0:
        os.chown(folder, 12321, 12321)
        owner = "; it belongs to nobody"  # as whom a user namespace shows everybody whom it does not know
    else:
        folder.chmod(0o555)
    done = run("-c", BUILD, under=nobody, LATTE_BUILD=folder)
    refused(done, f"build folder {folder} cannot be used (Permission denied{owner}): {SET}")


@SHARED
def test_a_full_disk_while_building(run: Run, full_disk):
    disk, under = full_disk(40)
    done = run("-c", BUILD, under=under, LATTE_BUILD=disk / "builds")
    refused(done, f"there is no space left in build folder {disk}/builds or in the folder for temporary files")


def test_a_full_disk_for_results(latte: Run, full_disk, trace_file: Path):
    disk, under = full_disk(4)
    done = latte("golden", trace_file, "-o", disk / "out.npz", under=under)
    refused(done, f"output {disk}/out.npz cannot be written: No space left on device")


def test_a_full_disk_is_seen_by_doctor(latte: Run, full_disk):
    disk, under = full_disk(16)
    assert f"no space left in build folder {disk}" in latte("doctor", under=under, LATTE_BUILD=disk).stdout


def test_a_full_disk_behind_standard_output(tmp_path: Path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "latte_hw.cli.main", "doctor"], env={"PYTHONPATH": str(ROOT)}, stdout=full,
            stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("latte: there is no space left")
    assert done.stderr.count("\n") == 1


def test_no_folder_for_temporary_files(run: Run):
    code = "import tempfile; from latte_hw.host import terminal; tempfile._candidate_tempdir_list = lambda: ['/none'];"
    refused(run("-c", code + "terminal.run(lambda: tempfile.mkdtemp())"), "No usable temporary directory")


# --- leftovers of killed builds ---------------------------------------------------------------------------------------

FILL = """
import sys, time
from latte_hw.host.build_folder import kept
def fill(scratch):
    (scratch / "objects").mkdir()
    print(scratch.name, flush=True)
    time.sleep(float(sys.argv[2]))
kept(sys.argv[1], fill)
"""


def filling(folder: Path, name: str, seconds: float) -> tuple[subprocess.Popen[str], str]:
    """A process that makes a build for so long, and the name of its scratch folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", FILL, name, str(seconds)], env={"PYTHONPATH": str(ROOT), "LATTE_BUILD": str(folder)},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    with process.stdout as out:
        return process, out.readline().strip()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_next_build_clears_what_killed_ones_left_and_nothing_else(tmp_path: Path):
    first, second, third = (f"icarus-{digit * 20}" for digit in "123")
    (tmp_path / "of mine").mkdir()
    killed, left = filling(tmp_path, first, 60)
    working, in_use = filling(tmp_path, second, 60)
    try:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert names(tmp_path) == {left, in_use, "of mine"}
        after, _ = filling(tmp_path, third, 0)
        assert after.wait() == 0
        assert names(tmp_path) == {third, in_use, "of mine"}
    finally:
        working.kill()
        working.wait()
    after, _ = filling(tmp_path, first, 0)
    assert after.wait() == 0
    assert names(tmp_path) == {first, third, "of mine"}


def test_a_build_that_is_there_is_not_made_again(tmp_path: Path):
    name = f"icarus-{'a' * 20}"
    assert filling(tmp_path, name, 0)[0].wait() == 0
    began = time.monotonic()
    process, scratch = filling(tmp_path, name, 60)
    assert (process.wait(), scratch) == (0, "")
    assert time.monotonic() - began < 30
