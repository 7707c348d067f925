"""Archives: clear errors on reading; whole or nothing, and the same bytes every time, on writing."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from golden.files import npz
from golden.files.npz import read_npz, save_npz
from latte_hw.config import npz_file
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


def damaged(path: Path, damage: str) -> None:
    """Write an archive with something wrong in it."""
    save_npz(path, ARRAYS, compressed=damage == "compression")
    content = bytearray(path.read_bytes())
    if damage == "text":
        content[:] = b"hello"
    elif damage == "empty":
        content.clear()
    elif damage == "truncated":
        del content[-100:]
    elif damage == "flipped":
        content[400] ^= 0xFF
    elif damage == "encrypted":
        for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            content[content.index(signature) + flags] |= 1
    elif damage == "compression":  # a method that nobody has
        for signature, method in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
            content[content.index(signature) + method] = 77
    path.write_bytes(content)


def member(path: Path, name: str, content: bytes) -> None:
    """An archive of one member, of any bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)


def npy(header: str, data: bytes = b"") -> bytes:
    """An array as NumPy writes it, with any header."""
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("text", r"tensor file .*a\.npz is not a readable \.npz archive: File is not a zip file"),
        ("empty", r"tensor file .*a\.npz is not a readable \.npz archive: File is not a zip file"),
        ("truncated", r"tensor file .*a\.npz is not a readable \.npz archive: File is not a zip file"),
        ("flipped", r"member x of tensor file .*a\.npz is no readable array: Bad CRC-32"),
        ("encrypted", r"member x of tensor file .*a\.npz must not be encrypted"),
        ("compression", r"member x of tensor file .*a\.npz cannot be unpacked here: That compression method"),
    ],
)
def test_damaged_file(tmp_path: Path, damage: str, sentence: str) -> None:
    damaged(tmp_path / "a.npz", damage)
    with pytest.raises(LatteError, match=sentence):
        read_npz(tmp_path / "a.npz")


HEADER = "{{'descr': '{0}', 'fortran_order': False, 'shape': {1}}}"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is no readable array: EOF: reading magic string"),
        (b"hello, world", "is no readable array: the magic string is not correct"),
        (npy("{'descr': "), "is no readable array: NumPy does not read its header: "),
        (npy("(" * 100), "is no readable array: NumPy does not read its header: "),
        (npy(HEADER.format("|O", "(3,)")), "must be a plain array, not one of object"),
        (npy(HEADER.format("<f4", "(-3, 8)")), r"is no readable array: its shape is \(-3, 8\)"),
        (npy(HEADER.format("<f4", "(3, 8)"), bytes(90)), "is no readable array: it lacks 6 of its 96 bytes"),
        (npy(HEADER.format("<f4", "(3, 8)"), bytes(97)), "is no readable array: it goes on behind its 96 bytes"),
        (npy(HEADER.format("<f4", "(10**9,)")), "is no readable array: NumPy does not read its header: "),
        (
            npy(HEADER.format("<f4", "(1000000000000, 8)")),
            "is no readable array: it lacks 32,000,000,000,000 of",
        ),
        (npy(HEADER.format("<f4", "(3, 8)"))[:6] + b"\x03\x00", "must be a plain array: version 3.0 of the format"),
    ],
)
def test_a_member_that_is_no_plain_array_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    member(tmp_path / "a.npz", "x.npy", content)
    with pytest.raises(LatteError, match=r"^member x of tensor file .*a\.npz " + sentence):
        read_npz(tmp_path / "a.npz")


def test_an_array_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([{}], object))
    with pytest.raises(LatteError, match=r"member x of tensor file .* must be a plain array, not one of object"):
        read_npz(tmp_path / "a.npz")


def test_members_that_nobody_asked_for_are_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save_npz(path, {"x": np.arange(3)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes.txt", "hello")
        archive.writestr("y.npy", "not an array")
    assert read_npz(path, ["x", "z"])["x"].tolist() == [0, 1, 2]
    assert list(read_npz(path, ["z"])) == []
    with pytest.raises(LatteError, match="member y of"):
        read_npz(path)
    with pytest.raises(LatteError, match=r"member notes\.txt of tensor file .* must be an array, notes\.txt\.npy"):
        read_npz(path, ["notes.txt"])


def test_a_member_larger_than_the_memory_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_npz(tmp_path / "a.npz", {"x": np.zeros((100, 1000), np.float32), "y": np.arange(3)}, compressed=True)
    monkeypatch.setattr(npz_file, "_memory_bytes", lambda: 100_000)
    assert read_npz(tmp_path / "a.npz", ["y"])["y"].tolist() == [0, 1, 2]
    with pytest.raises(LatteError, match=r"member x of .* has 400,000 bytes, more than the 100,000 of this machine"):
        read_npz(tmp_path / "a.npz")
    monkeypatch.setattr(npz_file, "_memory_bytes", lambda: None)  # a machine that does not say
    assert read_npz(tmp_path / "a.npz")["x"].shape == (100, 1000)

    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np.lib.format, "read_array", full)
    with pytest.raises(LatteError, match=r"member x of .* is larger than the memory that is left"):
        read_npz(tmp_path / "a.npz")


def test_shapes_are_checked_before_data_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_npz(tmp_path / "a.npz", {"x": np.ones((5, 7), ">f4")})
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("data was read"))

    def check(arrays: dict[str, np.ndarray]) -> None:
        assert (arrays["x"].shape, arrays["x"].dtype) == ((5, 7), np.float32)
        raise LatteError("too many")

    with pytest.raises(LatteError, match="too many"):
        read_npz(tmp_path / "a.npz", check=check)


@pytest.mark.parametrize("order", "<>")
def test_numbers_come_in_the_machine_s_byte_order(tmp_path: Path, order: str) -> None:
    x = np.arange(6, dtype=f"{order}f4").reshape(2, 3)
    save_npz(tmp_path / "a.npz", {"x": np.asfortranarray(x), "n": np.array(-5, f"{order}i8")})
    read = read_npz(tmp_path / "a.npz")
    assert (read["x"].dtype, read["n"].dtype) == (np.dtype(np.float32), np.dtype(np.int64))
    assert read["x"].dtype.isnative
    np.testing.assert_array_equal(read["x"], x)
    assert read["n"] == -5


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
