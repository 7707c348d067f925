"""Texts, tokens and their split."""

import sys
import types

import numpy as np
import pytest

from golden.train.text import read_source, strip_tags
from golden.train.tokens import TokenFile, split_tokens
from latte_hw.config.errors import LatteError


def test_tags_are_stripped():
    assert strip_tags("\n\tThe/at 1/2/cd and/or/cc ``/`` ./. Mayor-nominate/nn-tl\n") == (
        "The 1/2 and/or `` . Mayor-nominate"
    )


def test_brown_is_recognised_by_its_names(tmp_path):
    for name, text in {
        "cb01": "Dear/jj Sirs/nns",
        "ca01": "The/at jury/nn ./.",
        "README": "no",
        "cats.txt": "x",
    }.items():
        (tmp_path / name).write_text(text)
    text = read_source(str(tmp_path))
    assert text.text == "The jury . Dear Sirs"
    assert text.name == "Brown corpus, 2 samples"


def test_a_folder_of_text_files_and_a_file(tmp_path):
    (tmp_path / "b.txt").write_text("two")
    (tmp_path / "a.txt").write_text("one")
    assert read_source(str(tmp_path)).text == "one\n\ntwo"
    assert read_source(str(tmp_path / "a.txt")).name == "a.txt"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"\xff\xfe", "is not UTF-8"), (b" \n", "is empty"), (None, "cannot be read: No such file")],
)
def test_texts_that_are_none(tmp_path, content, sentence):
    path = tmp_path / "text"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LatteError, match=sentence):
        read_source(str(path))
    with pytest.raises(LatteError, match="neither the Brown corpus"):
        read_source(str(tmp_path))


def test_a_data_set_on_the_hub(monkeypatch):
    asked = []

    def load_dataset(name, config, split):
        asked.append((name, config, split))
        return [{"text": "one"}, {"text": "two"}]

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    assert read_source("hf:a/b:raw:test").text == "one\ntwo"
    assert read_source("hf:a/b").name == "data set a/b"
    assert asked == [("a/b", "raw", "test"), ("a/b", None, "train")]
    with pytest.raises(LatteError, match="a data set is given as hf:NAME"):
        read_source("hf:a:b:c:d")

    def offline(*_args, **_kwargs):
        raise ConnectionError("no route\nmore")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=offline))
    with pytest.raises(LatteError, match=r"\(no route\); download it .* and pass a text file"):
        read_source("hf:a/b")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(LatteError, match="pip install datasets"):
        read_source("hf:a/b")


def made(tokens: int = 1000, chunk: int = 64, share: float = 0.25) -> TokenFile:
    return split_tokens(np.arange(tokens), chunk=chunk, share=share, seed=1, tokenizer="t", source="s", sha256="0" * 64)


def test_windows_of_every_length_respect_the_split():
    file = made()
    held_out = set(file.windows("held_out", 64).ravel().tolist())
    assert len(held_out) == 4 * 64
    for tokens in (2, 16, 48, 64):
        train, kept_back = (file.windows(part, tokens) for part in ("train", "held_out"))
        assert not held_out & set(train.ravel().tolist())
        assert held_out >= set(kept_back.ravel().tolist())
        assert (np.diff(train, axis=1) == 1).all()  # a window is a piece of the text
    np.testing.assert_array_equal(file.windows("train", 16, 5), file.windows("train", 16)[:5])


def test_a_token_file_on_disk(tmp_path):
    file = made()
    for name in ("a.npz", "b.npz"):
        file.save(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    loaded = TokenFile.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(loaded.ids, file.ids)
    assert loaded.ids.dtype == np.uint16
    assert loaded.describe() == file.describe()
    np.savez(tmp_path / "c.npz", ids=file.ids)
    with pytest.raises(LatteError, match=r"lacks the array .*latte tokens"):
        TokenFile.load(tmp_path / "c.npz")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("chunk", np.array("64")), ("chunk", np.array([64])), ("chunk", np.array(0)), ("chunk", np.array(64.5)),
        ("seed", np.array(-1)), ("ids", np.array(["a"])), ("ids", np.zeros((2, 2), int)), ("held_out", np.array(True)),
        ("schema", np.array("latte-tokens-0")), ("source", np.array(5)),
    ],
)  # fmt: skip
def test_files_that_are_no_tokens(tmp_path, name, value):
    made().save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as saved:
        arrays = {**saved, name: value}
    np.savez(tmp_path / "b.npz", **arrays)
    with pytest.raises(LatteError, match=r"is not of the schema latte-tokens-1; make one with latte tokens"):
        TokenFile.load(tmp_path / "b.npz")
    (tmp_path / "b.npz").write_text("hello")
    with pytest.raises(LatteError, match=r"token file .*b\.npz is not a readable \.npz archive"):
        TokenFile.load(tmp_path / "b.npz")


def test_what_cannot_be_split():
    for arguments, sentence in (
        ({"tokens": 100}, "fewer than two chunks of 64"),
        ({"share": 1.0}, "held-out share must be above 0 and below 1"),
    ):
        with pytest.raises(LatteError, match=sentence):
            made(**arguments)
    with pytest.raises(LatteError, match="from 2 to 64 tokens"):
        made().windows("train", 65)
    with pytest.raises(LatteError, match="has 4 held-out windows of 64 tokens, not 5"):
        made().windows("held_out", 64, 5)


def test_the_package_is_light():
    """Thresholds files are read by commands that have no PyTorch."""
    import subprocess

    program = (
        "import sys, golden.files.inputs, golden.train.commands, golden.files.thresholds;"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
