"""What a model is trained and judged on. The trainer and the evaluation know tasks only by this interface."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from golden.train.tokens import TokenFile
from latte_hw.config.errors import LatteError

Part = Literal["train", "held_out"]
Outcome = Mapping[str, NDArray[np.float64]]
"""Per held-out item, by name: ``loss`` (mean negative log-likelihood, nats) and whatever the task's figure needs."""


@dataclass(frozen=True)
class Batch:
    """Some items: keyword arguments of the model, and what it should say."""

    inputs: dict[str, torch.Tensor]
    targets: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        return Batch({name: x.to(device) for name, x in self.inputs.items()}, self.targets.to(device))


class Task(Protocol):
    """Items (windows of text, images) in two parts, and how answers are judged."""

    figure: str
    """What the task is judged by: `perplexity` (less is better) or `top_1` (a share, more is better)."""

    def count(self, part: Part) -> int:
        """Number of items."""
        ...

    def batch(self, part: Part, items: Sequence[int]) -> Batch:
        """Items by number, on the CPU."""
        ...

    def losses(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean negative log-likelihood of every item, nats, (B,); differentiable."""
        ...

    def outcome(self, logits: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
        """What is kept of every item, (B,) each; ``loss`` among it."""
        ...

    def value(self, outcome: Outcome) -> float:
        """The figure over all items of an outcome."""
        ...

    def describe(self) -> dict[str, Any]:
        """Plain values for reports."""
        ...


class TextTask:
    """Next-token prediction on windows of a token file.

    Args:
        tokens: the text and its split.
        window: tokens of a window.
        held_out: held-out windows to judge on; None takes all of them.
        train: training windows; None takes all of them.

    Raises :class:`LatteError` when the text has not so many windows.
    """

    figure = "perplexity"

    def __init__(self, tokens: TokenFile, window: int, held_out: int | None = None, train: int | None = None) -> None:
        self._windows = {
            "train": tokens.windows("train", window, train),
            "held_out": tokens.windows("held_out", window, held_out),
        }
        self._tokens, self._window = tokens, window

    def count(self, part: Part) -> int:
        return len(self._windows[part])

    def batch(self, part: Part, items: Sequence[int]) -> Batch:
        ids = torch.from_numpy(self._windows[part][list(items)])
        return Batch({"input_ids": ids}, ids)

    def losses(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        rows = [
            torch.nn.functional.cross_entropy(one[:-1].float(), ids[1:])
            for one, ids in zip(logits, targets, strict=True)  # window by window: logits are large
        ]
        return torch.stack(rows)

    def outcome(self, logits: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": self.losses(logits, targets)}

    def value(self, outcome: Outcome) -> float:
        return float(np.exp(outcome["loss"].mean()))

    def describe(self) -> dict[str, Any]:
        return {**self._tokens.describe(), "window": self._window}

    def check_model(self, config: Any) -> None:
        """:class:`LatteError` when the windows are longer than the model's context, or the tokens are not its own."""
        longest = getattr(config, "max_position_embeddings", None)
        if longest is not None and self._window > longest:
            raise LatteError(f"a window must have at most {longest} tokens, the model's context, not {self._window}")
        greatest = max(int(rows.max()) for rows in self._windows.values() if len(rows))
        if greatest >= config.vocab_size:
            raise LatteError(
                f"the tokens are of another tokenizer ({self._tokens.tokenizer}): token {greatest} is beyond this "
                f"model's {config.vocab_size}"
            )


def batches(count: int, size: int) -> Iterator[list[int]]:
    """Items 0 to count - 1 in batches."""
    for start in range(0, count, size):
        yield list(range(start, min(start + size, count)))


def shuffled(count: int, step: int, size: int, seed: int) -> list[int]:
    """The items of a training step: every epoch is a seeded permutation, whatever has run before."""
    items = []
    for position in range(step * size, (step + 1) * size):
        epoch, index = divmod(position, count)
        items.append(int(_permutation(count, epoch, seed)[index]))
    return items


@lru_cache(maxsize=4)  # every item of a step asks for the same one
def _permutation(count: int, epoch: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(count)
