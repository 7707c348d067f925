"""Which package brings a tool that is missing, in the words of the system that it is missing from."""

import platform
import sys
from pathlib import Path

_OTHER_NAMES = {"vvp": "iverilog", "tclsh": "tcl"}
"""Programs whose Debian package has another name."""


def remedy(*programs: str) -> str:
    """The command that installs programs; their names alone where the system has no apt-get."""
    names = " ".join(dict.fromkeys(_OTHER_NAMES.get(program, program) for program in programs))
    return f"apt-get install {names}" if _is_debian() else f"install {names}"


def shared_python() -> str | None:
    """Path of the shared library of this interpreter, from which cocotb's simulators load Python; None without one.

    Raises :class:`ModuleNotFoundError` when cocotb, which brings the search for it, is not installed.
    """
    import find_libpython

    found = find_libpython.find_libpython()
    return None if found is None else str(found)


def shared_python_remedy() -> str:
    """What brings the shared library of this interpreter."""
    version = "{}.{}".format(*sys.version_info[:2])
    base = Path(sys.base_prefix)
    if base == Path("/usr") and _is_debian():
        return f"apt-get install libpython{version}"
    if ".pyenv" in base.parts:
        full = platform.python_version()
        return f"PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install --force {full}, then make .venv again"
    return f"take a Python {version} that was configured with --enable-shared, and make .venv again with it"


def shared_python_problem() -> str:
    """One sentence on a Python that cocotb cannot load."""
    return (
        f"cocotb loads Python from a shared library, which {sys.executable} ({platform.python_version()}) does not "
        f"have: {shared_python_remedy()}"
    )


def _is_debian() -> bool:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    return "debian" in (release.get("ID", ""), *release.get("ID_LIKE", "").split())
