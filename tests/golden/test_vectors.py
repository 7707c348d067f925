"""The vectors folder: readable without us, reproducible, whole or nothing."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import latte_hw
from golden.files.stimuli import random_trace
from golden.files.tensors import from_arrays
from golden.vectors import build_arrays, read_vectors, to_hex, write_vectors
from latte_hw.config.errors import LatteError
from latte_hw.config.loading import resolve_config
from latte_hw.config.presets import PRESETS

TINY = PRESETS["tiny"]
ARRAYS = build_arrays(from_arrays(random_trace(TINY, 4, 2, 1, 5, 7), TINY), TINY)


def test_description(tmp_path: Path) -> None:
    folder = tmp_path / "vectors"
    write_vectors(folder, ARRAYS, TINY, 4)
    about = json.loads((folder / "desc.json").read_text())
    assert about["schema_version"] == 1
    assert about["generator"] == {"name": "latte-hw", "version": latte_hw.__version__}
    assert (about["seed"], about["rng"]) == (4, "numpy.random.PCG64")
    assert about["config_sha256"] == TINY.sha256()
    assert resolve_config(None, folder / "desc.json", None) == TINY
    assert set(about["tensors"]) == {
        *("q8", "k8", "v8", "k_banks", "tau_int", "softmax_scale"),
        *("estimate", "keep", "score", "prob", "out", "counters"),
    }
    out = about["tensors"]["out"]
    assert (out["dtype"], out["shape"], out["format"]["bits"], out["format"]["signed"]) == (
        "int16",
        [2, 5, 8],
        16,
        True,
    )
    assert out["sha256"] == hashlib.sha256(ARRAYS["out"].astype("<i2").tobytes()).hexdigest()
    names = {f"{name}.{kind}" for name in about["tensors"] for kind in ("npy", "hex")}
    assert {path.name for path in folder.iterdir()} == names | {"desc.json"}


def test_hex_can_be_read_back(tmp_path: Path) -> None:
    folder = tmp_path / "vectors"
    write_vectors(folder, ARRAYS, TINY, None)
    about = json.loads((folder / "desc.json").read_text())
    assert (about["seed"], about["rng"]) == (None, None)
    for name, tensor in about["tensors"].items():
        bits, signed = tensor["format"]["bits"], tensor["format"]["signed"]
        values = []
        for line in (folder / f"{name}.hex").read_text().splitlines():
            number = int(line, 16)
            for element in range(tensor["shape"][-1]):
                value = number >> bits * element & 2**bits - 1
                values.append(value - (2**bits if signed and value >> (bits - 1) else 0))
        assert values == np.load(folder / f"{name}.npy").ravel().astype(int).tolist(), name


def test_hex_by_hand() -> None:
    assert to_hex(np.array([[1, -1], [-128, 127]], np.int8)) == "ff01\n7f80\n"
    assert to_hex(np.array([1, -2], np.int16)) == "fffe0001\n"
    assert to_hex(np.array([[True, False, False, False, True]])) == "11\n"


def test_k_banks_is_the_memory_image() -> None:
    high = (ARRAYS["k8"].astype(int) + 8) >> 4
    assert ARRAYS["k_banks"].shape == (1, 2, 4, 8)
    np.testing.assert_array_equal(ARRAYS["k_banks"][0, 1, 2], high[0, 5])


def test_same_bytes_every_time_and_old_vectors_are_replaced(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    write_vectors(first, ARRAYS, TINY, 4)
    write_vectors(second, ARRAYS, TINY, 5)
    (second / "stale.npy").write_text("old")
    write_vectors(second, ARRAYS, TINY, 4)
    contents = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in (first, second)]
    assert contents[0] == contents[1]


def test_read_checks_the_hashes(tmp_path: Path) -> None:
    write_vectors(tmp_path / "a", ARRAYS, TINY, 4)
    about, arrays = read_vectors(tmp_path / "a")
    np.testing.assert_array_equal(arrays["score"], ARRAYS["score"])
    assert about["seed"] == 4
    np.save(tmp_path / "a" / "score.npy", ARRAYS["score"] + 1)
    with pytest.raises(LatteError, match=r"are damaged: score does not have the sha256 in desc\.json"):
        read_vectors(tmp_path / "a")
    (tmp_path / "a" / "score.npy").write_text("")
    with pytest.raises(LatteError, match=r"desc\.json or an array is not readable"):
        read_vectors(tmp_path / "a")
    for content in ("[" * 100_000, "[]", '{"tensors": {"score": 1}}', '{"tensors": 5}'):
        (tmp_path / "a" / "desc.json").write_text(content)
        with pytest.raises(LatteError, match=r"desc\.json or an array is not readable"):
            read_vectors(tmp_path / "a")
    with pytest.raises(LatteError, match="cannot be read: No such file or directory"):
        read_vectors(tmp_path / "b")


def test_bad_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("")
    for name, message in (
        ("file", "is a file; name a folder for the vectors"),
        ("other", "holds something other than vectors; name a new or empty folder"),
        ("none/vectors", "none does not exist; create it first"),
    ):
        with pytest.raises(LatteError, match=message):
            write_vectors(tmp_path / name, ARRAYS, TINY, 4)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "other"}


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", fail)
    with pytest.raises(LatteError, match="cannot be written: No space left on device"):
        write_vectors(tmp_path / "a", ARRAYS, TINY, 4)
    assert list(tmp_path.iterdir()) == []
