"""NumPy archives, written whole or not at all, byte-identical every time.

:mod:`latte_hw.config.npz_file` reads them.
"""

import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from golden.blocks.arith import Array
from latte_hw.config.errors import LatteError
from latte_hw.config.npz_file import read_npz

__all__ = ["check_output_folder", "read_npz", "replacing", "save_npz"]

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip file knows: equal content gives equal bytes


def save_npz(path: Path | str, arrays: Mapping[str, Array], *, compressed: bool = False) -> None:
    """Write arrays to an .npz file: the file appears complete, or stays as it was.

    Equal arrays give equal bytes. Raises :class:`LatteError` when the folder is missing or not writable.
    """
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with replacing(Path(path)) as temporary, zipfile.ZipFile(temporary, "w", method) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            entry.compress_type = method
            with archive.open(entry, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well, and is removed otherwise."""
    check_output_folder(path)
    if path.is_dir():
        raise LatteError(f"output {path} is a folder; name a file")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise LatteError(f"output {path} cannot be written: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def check_output_folder(path: Path) -> None:
    """Raise :class:`LatteError` unless ``path`` can be created in its folder; checked before the work, not after."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise LatteError(f"output folder {path.parent} does not exist; create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise LatteError(f"output folder {path.parent} is not writable")
