"""A text as token numbers, split once into training and held-out parts: everything training needs, in one file.

The tokens are cut into chunks; a seeded draw holds some chunks out. A window of at most a chunk's length never leaves
its chunk, so windows of every length respect the same split: nothing held out is ever trained or calibrated on.
A token file (.npz) is read on a machine that has neither the text nor the tokenizer.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from golden.files.npz import read_npz, save_npz
from latte_hw.config.errors import LatteError

Split = Literal["train", "held_out"]
SCHEMA = "latte-tokens-1"
_TEXT_FIELDS = ("schema", "tokenizer", "source", "sha256")
_NUMBERS = ("chunk", "seed")
_LISTS = ("ids", "held_out")


@dataclass(frozen=True)
class TokenFile:
    """Tokens of a text and their split. ``chunk`` tokens make a chunk; the last, shorter one is left out."""

    ids: NDArray[Any]  # (chunks · chunk,) uint16 or int32
    held_out: NDArray[np.bool_]  # (chunks,)
    chunk: int
    tokenizer: str  # the model whose tokenizer made the ids
    source: str
    sha256: str  # of the text
    seed: int

    def windows(self, split: Split, tokens: int, count: int | None = None) -> NDArray[np.int64]:
        """Windows (count, tokens) of one part of the text, in a seeded order in which neighbours are far apart.

        The order does not depend on ``count``: the first 32 windows are among the first 64. :class:`LatteError` when
        a window is longer than a chunk, or there are fewer than ``count``.
        """
        if not 2 <= tokens <= self.chunk:
            raise LatteError(f"a window must have from 2 to {self.chunk} tokens, the chunk of the split, not {tokens}")
        chunks = np.flatnonzero(self.held_out if split == "held_out" else ~self.held_out)
        per_chunk = self.chunk // tokens
        rows = self.ids.reshape(-1, self.chunk)[chunks][:, : per_chunk * tokens].reshape(-1, tokens)
        if count is not None and len(rows) < count:
            raise LatteError(f"{self.source} has {len(rows)} {_spoken(split)} windows of {tokens} tokens, not {count}")
        order = np.random.default_rng([self.seed, tokens]).permutation(len(rows))
        return rows[order[:count]].astype(np.int64)

    def describe(self) -> dict[str, Any]:
        """Plain values for reports and training records."""
        return {
            "source": self.source,
            "text_sha256": self.sha256,
            "tokenizer": self.tokenizer,
            "tokens": len(self.ids),
            "chunk": self.chunk,
            "chunks": len(self.held_out),
            "held_out_chunks": int(self.held_out.sum()),
            "split_seed": self.seed,
        }

    def save(self, path: Path) -> None:
        """Write the token file; equal content gives equal bytes."""
        texts = {name: np.array(getattr(self, name)) for name in _TEXT_FIELDS[1:]}
        numbers = {"chunk": np.array(self.chunk), "seed": np.array(self.seed)}
        arrays = {"schema": np.array(SCHEMA), "ids": self.ids, "held_out": self.held_out, **texts, **numbers}
        save_npz(path, arrays, compressed=True)

    @classmethod
    def load(cls, path: Path) -> "TokenFile":
        """Read a token file; :class:`LatteError` when it is none or damaged."""
        arrays = read_npz(path, (*_TEXT_FIELDS, *_NUMBERS, *_LISTS), "token file")
        wrong = f"token file {path} is not of the schema {SCHEMA}; make one with latte tokens"
        for names, kinds, dimensions in ((_TEXT_FIELDS, "U", 0), (_NUMBERS, "iu", 0), (_LISTS, "iub", 1)):
            for name in names:
                if name not in arrays:
                    raise LatteError(f"token file {path} lacks the array {name!r}; make one with latte tokens")
                if arrays[name].dtype.kind not in kinds or arrays[name].ndim != dimensions:
                    raise LatteError(wrong)
        texts = {name: str(arrays[name]) for name in _TEXT_FIELDS}
        chunk, seed = (int(arrays[name]) for name in _NUMBERS)
        ids, held_out = arrays["ids"], arrays["held_out"].astype(np.bool_)
        if texts.pop("schema") != SCHEMA or chunk < 2 or seed < 0 or len(ids) != chunk * len(held_out):
            raise LatteError(wrong)
        return cls(ids=ids, held_out=held_out, chunk=chunk, seed=seed, **texts)


def split_tokens(
    ids: NDArray[Any], *, chunk: int, share: float, seed: int, tokenizer: str, source: str, sha256: str
) -> TokenFile:
    """Cut ``ids`` into chunks and hold out about ``share`` of them, at least one; the draw depends on ``seed`` alone.

    :class:`LatteError` on a share outside (0, 1) and a text of fewer than two chunks.
    """
    if not 0 < share < 1:
        raise LatteError(f"the held-out share must be above 0 and below 1, not {share:g}")
    if chunk < 2:
        raise LatteError(f"a chunk must have at least 2 tokens, not {chunk}")
    chunks = len(ids) // chunk
    if chunks < 2:
        raise LatteError(f"{source} gives {len(ids)} tokens, fewer than two chunks of {chunk}: take a smaller --chunk")
    held_out = np.zeros(chunks, np.bool_)
    count = min(max(1, round(share * chunks)), chunks - 1)
    held_out[np.random.default_rng(seed).permutation(chunks)[:count]] = True
    dtype = np.uint16 if int(np.max(ids)) < 2**16 else np.int32
    kept = np.asarray(ids[: chunks * chunk]).astype(dtype)
    return TokenFile(kept, held_out, chunk, tokenizer, source, sha256, seed)


def _spoken(split: Split) -> str:
    return "held-out" if split == "held_out" else "training"
