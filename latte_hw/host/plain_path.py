"""Another name, without spaces, for a folder that a tool cannot cope with under its own."""

import atexit
import shlex
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from latte_hw.config.errors import LatteError


@lru_cache(maxsize=8)
def plain_path(folder: Path) -> Path:
    """The folder itself if its path needs no quotes in a shell, else a link to it that lasts as long as this process.

    Raises :class:`LatteError` where no folder for temporary files has such a path either.
    """
    if _is_plain(folder):
        return folder
    for place in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):
        if not _is_plain(Path(place)):
            continue
        try:
            scratch = Path(tempfile.mkdtemp(prefix="latte-link-", dir=place))
        except OSError:
            continue
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
        link = scratch / "to"
        link.symlink_to(folder, target_is_directory=True)
        return link
    raise LatteError(f"Verilator cannot run from {folder}: set TMPDIR to a folder without spaces in its path")


def _is_plain(path: Path) -> bool:
    return shlex.quote(str(path)) == str(path)
