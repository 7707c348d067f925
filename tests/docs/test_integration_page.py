"""The commands and snippets of docs/integration.md, run one after the other as a reader would."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from latte_hw.driver import memory
from latte_hw.driver.core import config_of
from sim.simulators import builds
from sim.top.dma_model import CoreModel, EngineModel, Memory

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "integration.md").read_text()
ENGINES = {0x4040_0000: "q", 0x4041_0000: "k", 0x4042_0000: "v"}


def commands() -> list[str]:
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, re.M | re.S)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def snippets() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where every command of the page has run, `build` lying there."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "examples").symlink_to(ROOT / "examples")
    programs = {"latte": [sys.executable, "-m", "latte_hw.cli.main"], "python": [sys.executable]}
    programs["fusesoc"] = [sys.executable, "-m", "fusesoc.main"]
    env = builds.environment("verilator")
    for command in commands():
        program, *arguments = shlex.split(command)
        needed = "iverilog" if "sim" in arguments else program
        if shutil.which(needed) is None and needed not in programs:
            continue
        done = subprocess.run(
            [*programs.get(program, [program]), *arguments],
            cwd=folder, env=env, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stderr}"
        (folder / f"{program}.txt").write_text(done.stdout)
    return folder


def test_there_is_something_to_run() -> None:
    assert [shlex.split(command)[0] for command in commands()] == ["latte", "fusesoc", "fusesoc", "python", "cc"]
    assert len(snippets()) == 3


def test_the_commands_give_what_the_page_says(folder: Path) -> None:
    listed = re.findall(r"`(\w+\.\w+)`", PAGE[PAGE.index("| file") : PAGE.index("[registers.md]")])
    assert {path.name for path in (folder / "build" / "top").iterdir()} == set(listed)
    printed = dict(line.split(": ") for line in (folder / "python.txt").read_text().splitlines() if ": " in line)
    assert printed["output"] == "[4, 16, 8]"
    assert 0 < int(printed["kept"]) < int(printed["keys_seen"])
    assert float(printed["mean_error"]) < 0.1


def test_the_board_s_snippets(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """With models in the place of the mapped devices; the answer is that of the simulated Verilog."""
    core = CoreModel(config_of(folder / "build" / "top" / "latte_top.json"))
    bytes_of_all = bytearray(1 << 22)
    windows: dict[int, Any] = {base: EngineModel(core, stream, bytes_of_all) for base, stream in ENGINES.items()}

    def mapped_buffer(path: str, address: int, size: int, base: int) -> Memory:
        assert (path, address) == ("/dev/udmabuf0", 0x7000_0000 + base)
        return Memory(bytes_of_all, base, size)

    monkeypatch.setattr(memory, "MappedWindow", lambda path, base, _: core if path == "/dev/uio0" else windows[base])
    monkeypatch.setattr(memory, "MappedBuffer", mapped_buffer)
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    for snippet in snippets():
        exec(compile(snippet, "docs/integration.md", "exec"), names)
    simulated = dict(line.split(": ") for line in (folder / "python.txt").read_text().splitlines() if ": " in line)
    assert f"'mean_error': {simulated['mean_error']}" in capsys.readouterr().out
    assert names["latte"].registers.read("status")["idle"]
