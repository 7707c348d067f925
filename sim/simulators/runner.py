"""Runs the bench on the emitted Verilog in a simulator and brings back what it saw; lint."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

from latte_hw.config.errors import LatteError, MismatchError
from latte_hw.emit.packages.lint import LINT_WAIVERS
from sim.head.harness import Options
from sim.head.traffic import Traffic
from sim.lib.layout import Description
from sim.lib.recording import Recording
from sim.simulators import builds

Progress = Callable[[int], None]
"""Called with the number of output rows so far, a few times a second."""


def run(
    verilog: Path,
    description: Path,
    traffic: Traffic,
    options: Options,
    *,
    simulator: str = "verilator",
    progress: Progress | None = None,
) -> Recording:
    """Run one traffic through the core and return what was recorded.

    Raises :class:`MismatchError` when the core hangs or drives an unknown value, :class:`LatteError` when a tool fails.
    """
    top = Description.load(description).top
    folder = builds.build(verilog, top, simulator)
    with tempfile.TemporaryDirectory(prefix="latte-sim-") as name:
        work = Path(name)
        traffic.save(work / "traffic.npz")
        order = {"description": str(description.resolve()), "options": asdict(options)}
        (work / "order.json").write_text(json.dumps(order))
        with process(folder, top, simulator, options.seed, work) as simulation:
            while simulation.poll() is None:
                time.sleep(0.05)
                if progress is not None:
                    progress(_rows_done(work))
        return _result(work, simulator, simulation.returncode)


@contextlib.contextmanager
def process(
    folder: Path, top: str, simulator: str, seed: int, work: Path, module: str = "sim.head.bench"
) -> Iterator[subprocess.Popen[bytes]]:
    """A simulation that runs the cocotb tests in `module`, with its files in `work`; ended on leaving."""
    library = builds.check(simulator)
    import cocotb_tools.config as cocotb

    env = builds.environment(simulator) | {
        "LATTE_SIM_WORK": str(work),
        "COCOTB_TOPLEVEL": top,
        "COCOTB_TEST_MODULES": module,
        "COCOTB_RESULTS_FILE": str(work / "results.xml"),
        "COCOTB_RANDOM_SEED": str(seed),
        "TOPLEVEL_LANG": "verilog",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)]),
        "PYGPI_PYTHON_BIN": sys.executable,
        "GPI_USERS": f"{library};{cocotb.pygpi_entry_point()}",
        "LD_LIBRARY_PATH": os.pathsep.join([str(cocotb.libs_dir), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]),
        "PYTHONIOENCODING": "utf-8",  # for the log; what the caller's terminal takes is another matter
        "COCOTB_LOG_LEVEL": "WARNING",
    }
    if simulator == "verilator":
        env["COCOTB_TRUST_INERTIAL_WRITES"] = "1"
        # State without an initial value starts at random: nothing may lean on it.
        command = [str(folder / top), "+verilator+rand+reset+2", f"+verilator+seed+{seed % 2**31 + 1}"]
    else:
        command = ["vvp", "-m", cocotb.lib_entry("vpi", "icarus"), str(folder / "sim.vvp"), "-none"]
    with (work / "log").open("wb") as log:
        running = subprocess.Popen(command, env=env, cwd=work, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield running
        finally:
            if running.poll() is None:
                running.kill()
            running.wait()


def _rows_done(work: Path) -> int:
    try:
        return int((work / "progress").read_text() or 0)
    except OSError:
        return 0


def _result(work: Path, simulator: str, code: int) -> Recording:
    try:
        result = json.loads((work / "result.json").read_text())
    except OSError:
        log = (work / "log").read_text(errors="replace").strip()[-2000:]
        raise LatteError(f"the {simulator} simulation ended without a result (exit code {code}): {log}") from None
    if result["error"]:
        raise MismatchError(f"{simulator}: {result['error']}")
    return replace(Recording.load(work / "recording.npz"), seconds=result["seconds"])


def lint(verilog: Path) -> str:
    """What `verilator -Wall` says of the file; empty when it is clean."""
    waivers = [f"-Wno-{name}" for name in LINT_WAIVERS]
    command = ["verilator", "--lint-only", "-Wall", *waivers, str(verilog)]
    done = subprocess.run(command, env=builds.environment("verilator"), capture_output=True, text=True, check=False)
    return done.stderr.strip() or (done.stdout.strip() if done.returncode else "")
