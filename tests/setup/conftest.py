"""The environment of somebody who has just cloned this: nothing set but what a test sets."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from golden.files.stimuli import random_trace
from latte_hw.config.presets import preset

ROOT = Path(__file__).parents[2]
NOBODY = ("unshare", "--user", "--map-user=54321")
"""Runs a command as a user without an entry in the list of users, to whom nobody's rights but his own apply."""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs Python in an empty environment, with `env` added, under the command `under`, in a folder of its own."""

    def run(
        *arguments: object, under: tuple[str, ...] = (), python: Path | str = sys.executable, **env: object
    ) -> subprocess.CompletedProcess[str]:
        variables = {"PYTHONPATH": str(ROOT)} | {name: str(value) for name, value in env.items()}
        return subprocess.run(
            [*under, python, *map(str, arguments)], env=variables, cwd=tmp_path, text=True, encoding="utf-8",
            errors="replace", capture_output=True, stdin=subprocess.DEVNULL, timeout=300,
        )  # fmt: skip

    return run


@pytest.fixture
def latte(run: Run) -> Run:
    """The same for the command line."""
    return lambda *arguments, **more: run("-m", "latte_hw.cli.main", *arguments, **more)


@pytest.fixture
def trace_file(tmp_path: Path) -> Path:
    np.savez(tmp_path / "in.npz", **random_trace(preset("tiny"), 1, 2, 1, 6, 9))
    return tmp_path / "in.npz"


@pytest.fixture
def nobody() -> tuple[str, ...]:
    """What to run a command under, so that it has no name, no home and no rights beyond its own."""
    return available(NOBODY)


@pytest.fixture
def full_disk(tmp_path: Path) -> Callable[[int], tuple[Path, tuple[str, ...]]]:
    """A folder, and what to run a command under so that the folder is a disk of so many kilobytes."""

    def make(kilobytes: int) -> tuple[Path, tuple[str, ...]]:
        disk = tmp_path / "disk"
        disk.mkdir()
        mount = f'mount -t tmpfs -o size={kilobytes}k none "{disk}" && exec "$@"'
        root = () if os.geteuid() == 0 else ("--user", "--map-root-user")
        return disk, available(("unshare", *root, "--mount", "sh", "-c", mount, "sh"))

    return make


def available(under: tuple[str, ...]) -> tuple[str, ...]:
    """The command, if it works here."""
    try:
        subprocess.run([*under, "true"], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"{' '.join(under[:3])} does not work here: {error}")
    return under


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 2, nothing on standard output, one sentence on standard error with the words in it."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr
