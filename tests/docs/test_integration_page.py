"""The commands and snippets of docs/integration.md, run one after the other as a reader would.

The commands run in a shell whose PATH has nothing but what the page has installed: the programs of the Debian packages
that it names and what every Debian has, then its own virtual environment.
"""

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from latte_hw.driver import memory
from latte_hw.driver.core import config_of
from latte_hw.host.build_folder import build_folder
from sim.top.dma_model import CoreModel, EngineModel, Memory

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "integration.md").read_text()
ENGINES = {0x4040_0000: "q", 0x4041_0000: "k", 0x4042_0000: "v"}

PACKAGES = {
    "python3": "python3", "python3-venv": "", "libpython3.11": "", "make": "make", "perl": "perl",
    "g++": "g++ c++ gcc cc as ld ar ranlib", "iverilog": "iverilog vvp",
}  # fmt: skip
"""Programs of the Debian packages that the page may name."""

EVERYWHERE = (
    "sh bash env cat chmod cp date dirname basename echo expr false grep ls ln mkdir mv rm sed sort test touch tr "
)
EVERYWHERE += "true uname mktemp rmdir head tail cut wc cmp xargs"
"""Programs of packages that Debian calls essential."""

WITHOUT_NETWORK = re.compile("connection|name resolution|timed out", re.I)


@dataclass(frozen=True)
class Ran:
    """A command of the page and what it printed."""

    command: str
    output: str


def commands() -> list[str]:
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, re.M | re.S)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def snippets() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)


# --- the shell ----------------------------------------------------------------------------------------------------


def make_path(folder: Path, packages: list[str]) -> None:
    """Links to the programs of the packages, and a `python3` that is the one that runs this."""
    folder.mkdir()
    for program in [*EVERYWHERE.split(), *(program for package in packages for program in PACKAGES[package].split())]:
        if program != "python3" and (found := shutil.which(program)) is not None:
            (folder / program).symlink_to(found)
    base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    (folder / "python3").write_text(f'#!/bin/sh\nexec {shlex.quote(str(base))} "$@"\n')
    (folder / "python3").chmod(0o755)


def environment(path: Path) -> dict[str, str]:
    """What a reader's shell has: settings of pip and of the network, the build folder, and that PATH."""
    taken = re.compile(r"PIP_.*|.*_proxy|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|TMPDIR|HOME|LATTE_BUILD|XDG_CACHE_HOME", re.I)
    kept = {name: value for name, value in os.environ.items() if taken.fullmatch(name)}
    return kept | {"PATH": str(path), "PIP_NO_COMPILE": "1", "PIP_QUIET": "1", "LC_ALL": "C.UTF-8"}


def shell(lines: list[str], folder: Path) -> tuple[list[Ran], str]:
    """Run commands in one shell; those that succeeded, and the words of one that failed."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    script = [f"{{ {line}\n}} >out/{n}.txt 2>&1 || exit 1\ntouch out/{n}.done\n" for n, line in enumerate(lines)]
    subprocess.run(["/bin/bash", "-c", "".join(script)], cwd=folder, env=environment(folder / "path"), timeout=900)
    ran = []
    for n, line in enumerate(lines):
        text = (out / f"{n}.txt").read_text()
        if not (out / f"{n}.done").exists():
            return ran, f"{line}: {text[-3000:]}"
        ran.append(Ran(line, text))
    return ran, ""


@pytest.fixture(scope="session")
def clone() -> Iterator[Path]:
    """A folder like a clone, in which the page's virtual environment was made; kept for later runs."""
    setting_up = [
        line for line in commands()[: commands().index('eval "$(latte env)"')] if not line.startswith("apt-get")
    ]
    apt_get = next(line for line in commands() if line.startswith("apt-get install "))
    pinned = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
    recipe = repr((str(ROOT), sys.version, setting_up, apt_get, pinned, PACKAGES, EVERYWHERE))
    folder = build_folder() / f"page-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            for path in ROOT.iterdir():
                if not path.name.startswith(".") and path.suffix != ".egg-info" and path.name != "build":
                    (folder / path.name).unlink(missing_ok=True)
                    (folder / path.name).symlink_to(path)
            shutil.rmtree(folder / "path", ignore_errors=True)
            make_path(folder / "path", apt_get.removeprefix("apt-get install ").split())
            _, failure = shell(setting_up, folder)
            if WITHOUT_NETWORK.search(failure):
                pytest.skip(f"nothing can be installed: {failure[-300:]}")
            assert not failure, failure
            (folder / "installed").touch()
        shutil.rmtree(folder / "build", ignore_errors=True)
        yield folder


@pytest.fixture(scope="session")
def ran(clone: Path) -> list[Ran]:
    """What the page's commands printed, all of them having succeeded; without Icarus, those that need none."""
    lines = [line for line in commands() if line.split()[0] not in ("apt-get", "python3", "pip")]
    if not (clone / "path" / "iverilog").exists():
        lines = [line.removesuffix(" icarus") for line in lines if not line.endswith("sim latte_top")]
    ran, failure = shell(lines, clone)
    assert not failure, failure
    return ran


def output_of(ran: list[Ran], start: str) -> str:
    return next(one.output for one in ran if one.command.startswith(start))


# --- tests --------------------------------------------------------------------------------------------------------


def test_there_is_something_to_run() -> None:
    found = [shlex.split(command)[0] for command in commands()]
    assert found == ["apt-get", "python3", ".", "pip", "eval", "latte", *["fusesoc"] * 3, "python", "cc"]
    assert len(snippets()) == 3


def test_the_commands_give_what_the_page_says(ran: list[Ran], clone: Path) -> None:
    listed = re.findall(r"`(\w+\.\w+)`", PAGE[PAGE.index("| file") : PAGE.index("[registers.md]")])
    assert {path.name for path in (clone / "build" / "top").iterdir()} == set(listed)
    for one in ran:
        if "--target sim" in one.command:
            assert re.search(r"^PASS: \d+ checks, 2 layers of 6 heads", one.output, re.M), one
    printed = dict(line.split(": ") for line in output_of(ran, "python").splitlines() if ": " in line)
    assert printed["output"] == "[4, 16, 8]"
    assert 0 < int(printed["kept"]) < int(printed["keys_seen"])
    assert float(printed["mean_error"]) < 0.1


def test_nothing_else_is_on_path(clone: Path) -> None:
    """What the others rely on when they pass: the programs that the page installs are not there before."""
    for program in ("latte", "fusesoc", "verilator", "yosys", "git", "pip"):
        assert shutil.which(program, path=str(clone / "path")) is None, program
    inside, failure = shell([". .venv/bin/activate", "command -v latte", "command -v fusesoc"], clone)
    assert not failure
    assert all(one.output.startswith(f"{clone}/.venv/bin/") for one in inside[1:])


def test_the_board_s_snippets(
    ran: list[Ran], clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """With models in the place of the mapped devices; the answer is that of the simulated Verilog."""
    core = CoreModel(config_of(clone / "build" / "top" / "latte_top.json"))
    bytes_of_all = bytearray(1 << 22)
    windows: dict[int, Any] = {base: EngineModel(core, stream, bytes_of_all) for base, stream in ENGINES.items()}

    def mapped_buffer(path: str, address: int, size: int, base: int) -> Memory:
        assert (path, address) == ("/dev/udmabuf0", 0x7000_0000 + base)
        return Memory(bytes_of_all, base, size)

    monkeypatch.setattr(memory, "MappedWindow", lambda path, base, _: core if path == "/dev/uio0" else windows[base])
    monkeypatch.setattr(memory, "MappedBuffer", mapped_buffer)
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.chdir(clone)
    names: dict[str, Any] = {}
    for snippet in snippets():
        exec(compile(snippet, "docs/integration.md", "exec"), names)
    simulated = dict(line.split(": ") for line in output_of(ran, "python").splitlines() if ": " in line)
    assert f"'mean_error': {simulated['mean_error']}" in capsys.readouterr().out
    assert names["latte"].registers.read("status")["idle"]
