"""LATTE attention inside a Hugging Face model, under the name "latte" of transformers' attention interface.

    runtime = LatteRuntime(config, thresholds, conditioning=("smooth_k", "rotate"), scales="window", mode="soft")
    attach(model, runtime)
    logits = model(ids).logits
    loss = task(logits) + alpha * runtime.soft_keep()

Modes:

* `float`: the model's own attention in floating point (SDPA), nothing quantised;
* `dense_int8`: q, k, v quantised with the runtime's conditioning and scales, exact int8 dot products whatever ``reuse``
  says, every valid key kept, float32 softmax, dequantised values: the dense int8 baseline and teacher. Its greatest
  int8 value is the configuration's (119 for `balanced` M = 4); a runtime with split=truncate gives the usual 127;
* `soft`: :mod:`golden.nn.soft`, pruned, differentiable in the thresholds; without gradients it is the quick way to
  evaluate (hard mask, float32 softmax);
* `integer`: :mod:`golden.nn.integer`, bit for bit the hardware's output, dequantised.

Causality is the model's (``is_causal`` of its attention modules), not the configuration's, and ``max_keys`` does not
limit the window: longer ones stream through the core in tiles. Padding must be on the right.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from transformers import PreTrainedModel

from golden.conditioning import check_names
from golden.nn.integer import IntegerInputs
from golden.nn.quantize import StaticScales
from golden.nn.rules import KeepRule, configured_rule
from golden.nn.thresholds import Thresholds
from latte_hw.config import LatteConfig
from latte_hw.errors import LatteError
from latte_hw.params import HeadParams

Mode = Literal["float", "dense_int8", "soft", "integer"]

NAME = "latte"
"""Name in transformers' attention interface."""


@dataclass(frozen=True)
class LayerCall:
    """What a layer attended with, for :attr:`LatteRuntime.watch`."""

    layer: int
    q: torch.Tensor  # (B, H, Nq, D) float32, scaled so that the logit is q·k/√D; not conditioned
    k: torch.Tensor  # (B, G, Nk, D) float32, not conditioned
    v: torch.Tensor  # (B, G, Nk, D) float32
    counts: torch.Tensor  # (B, Nq) valid keys per query
    causal: bool
    inputs: IntegerInputs | None  # what the hardware would be given; None in mode `float`


@dataclass(frozen=True)
class Statistics:
    """Pairs of query and key per layer and query head, since the last reset; padding is not counted."""

    valid: torch.Tensor  # (layers, H) int64, on the CPU
    kept: torch.Tensor  # (layers, H) int64

    @property
    def keep_ratio(self) -> float:
        """Kept over valid pairs of all layers and heads; 0 when nothing ran."""
        valid = int(self.valid.sum())
        return int(self.kept.sum()) / valid if valid else 0.0

    @property
    def keep_ratios(self) -> torch.Tensor:
        """Kept over valid pairs, (layers, H) float64; 0 where nothing ran."""
        return self.kept.double() / self.valid.clamp(min=1)


class LatteRuntime:
    """How the attention of a model is computed, and what came of it.

    ``thresholds`` has a row per attention layer. ``scales`` is "window" (steps and K means of every window) or stored
    ones. ``kappa`` is the temperature of the soft mask in logits. ``estimate_bits`` replaces ``msb_bits`` in the estimate
    alone: 8 gives the limit of the rule, with the same scores. ``rule`` replaces the configured one. ``watch`` is
    called with every layer's call. ``mode``, ``kappa``, ``watch`` and ``rule`` may be changed between forward passes.
    """

    def __init__(
        self,
        config: LatteConfig,
        thresholds: Thresholds,
        conditioning: tuple[str, ...] = (),
        scales: Literal["window"] | StaticScales = "window",
        mode: Mode = "soft",
        kappa: float = 0.25,
        *,
        estimate_bits: int | None = None,
        rule: KeepRule | None = None,
        watch: Callable[[LayerCall], None] | None = None,
    ) -> None:
        raise NotImplementedError

    @contextmanager
    def using(self, mode: Mode) -> Iterator["LatteRuntime"]:
        """Within the block, another mode (a teacher's forward pass, say); does not touch statistics outside `soft`."""
        raise NotImplementedError

    def soft_keep(self) -> torch.Tensor:
        """Mean of the soft mask over the valid pairs of the last forward pass in mode `soft`; differentiable, scalar."""
        raise NotImplementedError

    def soft_keep_per_head(self) -> torch.Tensor:
        """The same per layer and head, (layers, H)."""
        raise NotImplementedError

    def statistics(self) -> Statistics:
        """Valid and kept pairs of all forward passes in modes `soft` and `integer` since the last reset."""
        raise NotImplementedError

    def reset_statistics(self) -> None:
        """Start counting anew."""
        raise NotImplementedError


def attach(model: PreTrainedModel, runtime: LatteRuntime) -> None:
    """From now on ``model`` attends through ``runtime``.

    Raises :class:`LatteError` when the model does not follow the attention interface, when its head_dim is not the
    configuration's, or when the thresholds are of another number of layers or heads.
    """
    raise NotImplementedError


def detach(model: PreTrainedModel) -> None:
    """Give ``model`` back the attention it had."""
    raise NotImplementedError
