"""Archives: clear errors on reading; whole or nothing, and the same bytes every time, on writing."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from golden.files import npz
from golden.files.npz import read_npz, save_npz
from latte_hw.config.errors import LatteError

ARRAYS = {"x": np.arange(2000), "keep": np.array([[True, False]]), "names": np.array(["a", "bc"])}


@pytest.mark.parametrize("compressed", [False, True])
def test_round_trip(tmp_path: Path, compressed: bool) -> None:
    save_npz(tmp_path / "a.npz", ARRAYS, compressed=compressed)
    read = read_npz(tmp_path / "a.npz")
    assert list(read) == list(ARRAYS)
    for name, x in ARRAYS.items():
        np.testing.assert_array_equal(read[name], x)
        assert read[name].dtype == x.dtype
    assert ((tmp_path / "a.npz").stat().st_size < 16_000) is compressed


def test_equal_arrays_give_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_npz(tmp_path / "a.npz", ARRAYS)
    monkeypatch.setattr("time.time", lambda: 2e9)
    save_npz(tmp_path / "b.npz", ARRAYS)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(LatteError, match=r"tensor file .*none\.npz cannot be read: No such file or directory"):
        read_npz(tmp_path / "none.npz")


@pytest.mark.parametrize("damage", ["text", "empty", "truncated", "flipped", "pickled", "zip"])
def test_damaged_file(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.npz"
    save_npz(path, ARRAYS)
    content = bytearray(path.read_bytes())
    content[400] ^= 0xFF
    written = {"text": b"hello", "empty": b"", "truncated": path.read_bytes()[:-100], "flipped": bytes(content)}
    if damage == "pickled":
        np.savez(path, x=np.array([{}], object))
    elif damage == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("notes.txt", "hello")
    else:
        path.write_bytes(written[damage])
    with pytest.raises(LatteError, match=r"is not a readable \.npz archive of plain arrays"):
        read_npz(path)


def test_single_array(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(LatteError, match=r"must be an \.npz archive of named arrays, not one array"):
        read_npz(tmp_path / "a.npy")


def test_output_folder_is_missing(tmp_path: Path) -> None:
    with pytest.raises(LatteError, match=r"output folder .*nowhere does not exist; create it first"):
        save_npz(tmp_path / "nowhere" / "a.npz", ARRAYS)


def test_output_folder_is_not_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(LatteError, match="is not writable"):
        save_npz(tmp_path / "a.npz", ARRAYS)


def test_output_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(LatteError, match="is a folder; name a file"):
        save_npz(tmp_path, ARRAYS)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    path.write_text("old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(npz.np.lib.format, "write_array", fail)
    with pytest.raises(LatteError, match=r"a\.npz cannot be written: No space left on device"):
        save_npz(path, ARRAYS)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]
    assert path.read_text() == "old"
