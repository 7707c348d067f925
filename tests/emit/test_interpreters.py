"""The Verilog is the same, byte for byte, whatever Python emits it."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from latte_hw.host.build_folder import build_folder

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
OTHERS = [version for version in VERSIONS if version != f"{sys.version_info[0]}.{sys.version_info[1]}"]
GENERATE = "import sys; from latte_hw.cli.main import main; sys.argv[0] = 'latte'; main()"


def interpreter(version: str) -> str | None:
    """A Python of this version: on PATH, or among those of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for place in sorted(pyenv.glob(f"{version}.*/bin")):
        if (place / "python").is_file():
            return str(place / "python")
    return shutil.which(f"python{version}")


def environment(version: str) -> Path:
    """Python in a virtual environment with what `pip install .` brings, kept for later runs; or a skip."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} on PATH, and none that pyenv installed")
    constraints = ROOT / "constraints.txt"
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    recipe = hashlib.sha256("\n".join([python, constraints.read_text(), *needed]).encode()).hexdigest()[:16]
    folder = build_folder() / f"python-{version}-{recipe}"
    folder.mkdir(parents=True, exist_ok=True)
    found = folder / "venv" / "bin" / "python"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            install = [str(found), "-m", "pip", "install", "--quiet", "--constraint", str(constraints), *needed]
            for command in ([python, "-m", "venv", "--clear", str(folder / "venv")], install):
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    pytest.skip(f"what LATTE needs cannot be installed for {python}: {done.stderr.strip()[-300:]}")
            (folder / "installed").touch()
    return found


def emitted(python: Path, preset: str, folder: Path) -> dict[str, bytes]:
    """What that Python writes for a preset."""
    command = [str(python), "-c", GENERATE, "generate", "--preset", preset, "-o", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("preset", ["tiny", pytest.param("gpt2", marks=pytest.mark.slow)])
@pytest.mark.parametrize("version", OTHERS)
def test_every_python_emits_the_same_bytes(version: str, preset: str, tmp_path: Path) -> None:
    there = emitted(environment(version), preset, tmp_path / "there")
    here = emitted(Path(sys.executable), preset, tmp_path / "here")
    assert len(here) == 2
    assert there == here
