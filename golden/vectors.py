"""Test vectors: a folder that a testbench in any language can read, and that says exactly what it holds.

``desc.json`` holds the schema and generator versions, the configuration and its sha256 (so that ``--config desc.json``
works), seed and random number generator, and for every tensor its dtype, shape, text format and the sha256 of its
little-endian bytes in C order. Each tensor lies beside it twice:

* ``NAME.npy``: NumPy's format;
* ``NAME.hex``: for ``$readmemh``. One line per row (all axes but the last, in C order); a line is one number whose
  least significant bits are element 0. Each element is two's complement in ``bits`` bits.

Besides the results of :func:`golden.attention.attention` there is ``k_banks``, the memory image of K's high parts
(:mod:`golden.blocks.kv_store`). Equal input gives equal bytes.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import latte_hw
from golden.attention import attention
from golden.blocks.arith import Array, split
from golden.blocks.kv_store import banks
from golden.files.npz import check_output_folder
from golden.files.stimuli import RNG_NAME
from golden.files.tensors import TensorFile
from latte_hw.config import LatteConfig
from latte_hw.config.errors import LatteError
from latte_hw.params import HeadParams, ceil_div

SCHEMA_VERSION = 1
DESCRIPTION = "desc.json"


def build_arrays(tensors: TensorFile, config: LatteConfig) -> dict[str, Array]:
    """Every array of a vectors folder."""
    params = HeadParams(config)
    return {**attention(tensors, config), "k_banks": banks(split(tensors.k8, params)[0], params)}


def write_vectors(folder: Path, arrays: Mapping[str, Array], config: LatteConfig, seed: int | None) -> dict[str, Any]:
    """Write a vectors folder and return its description; ``seed`` is None when the input came from a file.

    The folder appears complete or not at all; vectors that were there before are replaced. Raises
    :class:`LatteError` when it cannot be created, or holds something other than vectors.
    """
    check_vectors_folder(folder)
    temporary = folder.absolute().with_name(f".{folder.absolute().name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir()
        description = _describe(arrays, config, seed)
        for name in description["tensors"]:
            np.save(temporary / f"{name}.npy", arrays[name], allow_pickle=False)
            (temporary / f"{name}.hex").write_text(to_hex(arrays[name]))
        (temporary / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    except OSError as error:
        raise LatteError(f"output folder {folder} cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return description


def check_vectors_folder(folder: Path) -> None:
    """Raise :class:`LatteError` unless vectors can be written to ``folder``; checked before the work."""
    check_output_folder(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise LatteError(f"output {folder} is a file; name a folder for the vectors")
    if any(folder.iterdir()) and not (folder / DESCRIPTION).is_file():
        raise LatteError(f"output folder {folder} holds something other than vectors; name a new or empty folder")


def read_vectors(folder: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """Description and arrays of a vectors folder; :class:`LatteError` when a file is missing or was changed."""
    try:
        description = json.loads((folder / DESCRIPTION).read_text())
        arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in description["tensors"]}
        hashes = {name: about["sha256"] for name, about in description["tensors"].items()}
    except OSError as error:
        raise LatteError(f"vectors in {folder} cannot be read: {error.strerror or error}") from None
    except Exception:  # whatever JSON and NumPy stumble over
        raise LatteError(f"vectors in {folder} are damaged: {DESCRIPTION} or an array is not readable") from None
    for name, sha256 in hashes.items():
        if _sha256(arrays[name]) != sha256:
            raise LatteError(f"vectors in {folder} are damaged: {name} does not have the sha256 in {DESCRIPTION}")
    return description, arrays


def to_hex(x: Array) -> str:
    """``$readmemh`` text: one line per row, element 0 in the least significant bits, two's complement."""
    rows = x.reshape(-1, x.shape[-1])[:, ::-1]
    if x.dtype == np.bool_:
        digits = ceil_div(x.shape[-1], 4)
        bits = ("".join("1" if bit else "0" for bit in row) for row in rows)
        return "".join(f"{int(row, 2):0{digits}x}\n" for row in bits)
    big_endian = np.ascontiguousarray(rows).astype(x.dtype.newbyteorder(">"))
    return "".join(row.tobytes().hex() + "\n" for row in big_endian)


def _describe(arrays: Mapping[str, Array], config: LatteConfig, seed: int | None) -> dict[str, Any]:
    integers = {name: x for name, x in arrays.items() if x.dtype.kind in "iub"}
    return {
        "schema_version": SCHEMA_VERSION,
        "generator": {"name": "latte-hw", "version": latte_hw.__version__},
        "config": config.model_dump(mode="json"),
        "config_sha256": config.sha256(),
        "seed": seed,
        "rng": None if seed is None else RNG_NAME,
        "tensors": {
            name: {
                "dtype": str(x.dtype),
                "shape": list(x.shape),
                "format": {"bits": _bits(x), "signed": x.dtype.kind == "i", "row": "element 0 least significant"},
                "sha256": _sha256(x),
            }
            for name, x in integers.items()
        },
    }


def _bits(x: Array) -> int:
    return 1 if x.dtype == np.bool_ else 8 * x.dtype.itemsize


def _sha256(x: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(x).astype(x.dtype.newbyteorder("<")).tobytes()).hexdigest()
