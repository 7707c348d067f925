"""The build folder: what is compiled once and kept, and a sentence for everything that can be wrong with it.

``$LATTE_BUILD`` names it; without that it is ``latte-hw`` in the user's cache folder, ``$XDG_CACHE_HOME`` or
``~/.cache``. It may be deleted at any time when nothing runs: what is missing is built again.
"""

import errno
import fcntl
import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from latte_hw.config.errors import LatteError

VARIABLE = "LATTE_BUILD"

_SCRATCH = re.compile(r".+-[0-9a-f]{20}\..+")
"""Name of a folder in which something is being built: the name of the build and a random ending."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_LEAST_SPACE = 1 << 20
"""With less than this, a tool that failed did so for want of space: some write half a file and say nothing."""

_FULL_WORDS = ("no space left on device", "disk quota exceeded")


@dataclass(frozen=True)
class State:
    """Where builds go, and why they cannot; the problem is None when they can."""

    path: Path | None
    problem: str | None


def build_folder() -> Path:
    """Where builds are kept, as an absolute path. Raises :class:`LatteError` when nothing says where that is."""
    if named := os.environ.get(VARIABLE):
        return Path(named).absolute()
    return user_cache() / "latte-hw"


def user_cache() -> Path:
    """The user's cache folder. Raises :class:`LatteError` for a user who has none."""
    named = os.environ.get("XDG_CACHE_HOME")
    if named and Path(named).is_absolute():
        return Path(named)
    try:
        home = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        raise LatteError(
            f"there is no folder for builds, because HOME is not set and user {os.getuid()} has no entry in the list "
            f"of users: set {VARIABLE} to a folder that can be written"
        ) from None
    return Path(home).absolute() / ".cache"


def ready_folder() -> Path:
    """The build folder, made if need be. Raises :class:`LatteError` when it cannot be made."""
    folder = build_folder()
    with sentences(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def state() -> State:
    """Whether builds can be kept, without leaving anything behind but the folder itself."""
    try:
        folder = build_folder()
    except LatteError as error:
        return State(None, str(error))
    try:
        with sentences(ready_folder()), tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(1 << 16))  # a full disk shows with the first bytes
    except LatteError as error:
        return State(folder, str(error))
    return State(folder, None)


def kept(name: str, fill: Callable[[Path], None]) -> Path:
    """The folder `name` among the builds, filled by `fill` unless it was before.

    `name` ends in a dash and 20 hexadecimal digits. Two processes may make the same one at once: each fills a folder of
    its own, and the first to rename it wins. What killed processes have left of theirs is cleared first.
    Raises :class:`LatteError` when the folder cannot be written or the disk is full.
    """
    parent = build_folder()
    folder = parent / name
    with sentences(parent):
        if folder.is_dir():
            return folder
        parent.mkdir(parents=True, exist_ok=True)
        with _scratch(parent, name) as scratch:
            fill(scratch)
            try:
                scratch.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was first: its build is as good
                    raise
    return folder


@contextmanager
def sentences(folder: Path) -> Iterator[None]:
    """Within the block, what the system or a tool says of a folder that is full or locked is one sentence."""
    try:
        yield
    except OSError as error:
        raise LatteError(_sentence(folder, error)) from None
    except LatteError as error:
        if _is_full(folder) or any(words in str(error).lower() for words in _FULL_WORDS):
            raise LatteError(_full(folder)) from None
        raise


def _sentence(folder: Path, error: OSError) -> str:
    if error.errno in _FULL:
        return _full(folder)
    reason = error.strerror or str(error)
    if owner := _other_owner(folder):
        reason += f"; it belongs to {owner}"
    return f"build folder {folder} cannot be used ({reason}): set {VARIABLE} to a folder that can be written"


def _full(folder: Path) -> str:
    return (
        f"there is no space left in build folder {folder} or in the folder for temporary files, "
        f"{tempfile.gettempdir()}: free some, or set {VARIABLE} and TMPDIR to folders with space"
    )


def _is_full(folder: Path) -> bool:
    with suppress(OSError):
        return min(shutil.disk_usage(place).free for place in (folder, tempfile.gettempdir())) < _LEAST_SPACE
    return False


def _other_owner(folder: Path) -> str | None:
    """Name of the folder's owner, if that is somebody else."""
    try:
        owner = folder.stat().st_uid
    except OSError:
        return None
    if owner == os.geteuid():
        return None
    with suppress(KeyError):
        return pwd.getpwuid(owner).pw_name
    return f"user {owner}"


# --- folders in which something is being built ------------------------------------------------------------------------


@contextmanager
def _scratch(parent: Path, name: str) -> Iterator[Path]:
    """A new folder, held by a lock that ends with this process, removed in the end unless it was renamed."""
    with _locked(parent) as alone:
        if alone:
            _clear_leftovers(parent)
        scratch = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=parent))
        held = _lock(scratch)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if held is not None:
            os.close(held)


def _clear_leftovers(parent: Path) -> None:
    """Remove every folder that was being filled by a process that is gone: nobody holds its lock."""
    for path in parent.iterdir():
        if _SCRATCH.fullmatch(path.name) and (held := _lock(path, wait=False)) is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(held)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """One process at a time makes or clears folders in `folder`; false where the file system knows no locks."""
    held = _lock(folder)
    try:
        yield held is not None
    finally:
        if held is not None:
            os.close(held)


def _lock(folder: Path, wait: bool = True) -> int | None:
    """Lock a folder; the descriptor that holds the lock. None if another one does, or if there are no locks here."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
