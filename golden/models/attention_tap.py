"""Takes q, k and v where a Hugging Face model hands them to its attention function.

transformers looks the attention function up by name for every model that follows its attention interface (GPT-2,
Llama, BERT, ViT, DeiT and most others), so a function registered under a name of our own sees exactly what the model
would attend with, rotary embedding included, and no model needs a fork.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from latte_hw.config.errors import LatteError

_NAME = "latte_tap"


@dataclass(frozen=True)
class AttentionCall:
    """What one layer attended with, for the first item of the batch."""

    q: torch.Tensor  # (H, T, D) float32
    k: torch.Tensor  # (H_kv, T, D) float32
    v: torch.Tensor  # (H_kv, T, D) float32
    scaling: float  # the model computes softmax(q·k·scaling)
    causal: bool  # token i sees tokens j <= i only


@dataclass
class AttentionTap:
    """What the layers of a model last attended with; ``calls`` maps a layer's number to its call.

    Layers are numbered from 0 in the order in which the model first calls them. With ``wanted`` given, the other layers
    are counted but not kept.
    """

    wanted: frozenset[int] | None = None
    calls: dict[int, AttentionCall] = field(default_factory=dict)
    _numbers: dict[int, int] = field(default_factory=dict)

    @property
    def layers(self) -> int:
        """Attention layers seen so far."""
        return len(self._numbers)

    def see(
        self, module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **kwargs: Any
    ) -> None:
        """Keep what ``module`` is about to attend with; tensors of shape (batch, heads, T, D)."""
        layer = self._numbers.setdefault(id(module), len(self._numbers))
        if self.wanted is not None and layer not in self.wanted:
            return
        scaling, causal = kwargs.get("scaling"), kwargs.get("is_causal")
        self.calls[layer] = AttentionCall(
            q=_first(query),
            k=_first(key),
            v=_first(value),
            scaling=query.shape[-1] ** -0.5 if scaling is None else float(scaling),
            causal=bool(getattr(module, "is_causal", True) if causal is None else causal),
        )


@contextmanager
def tap_attention(model: PreTrainedModel, wanted: frozenset[int] | None = None) -> Iterator[AttentionTap]:
    """Within the block, every forward pass of ``model`` is seen by the tap; its results do not change.

    A model that does not follow the attention interface raises :class:`LatteError`.
    """
    tap = AttentionTap(wanted)
    before = model.config._attn_implementation
    model.set_attn_implementation(_NAME)
    if model.config._attn_implementation != _NAME:
        raise LatteError(f"{type(model).__name__} does not use transformers' attention interface, so it has no tap")
    token = _current.set(tap)
    try:
        yield tap
    finally:
        _current.reset(token)
        model.set_attn_implementation(before)


_current: ContextVar[AttentionTap | None] = ContextVar("current attention tap", default=None)


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """The attention function of a tapped model: shows the tap what comes in, then attends as usual."""
    tap = _current.get()
    if tap is not None:
        tap.see(module, query, key, value, **kwargs)
    result: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    return result


def _first(tensor: torch.Tensor) -> torch.Tensor:
    return tensor[0].detach().to(device="cpu", dtype=torch.float32).clone()


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, sdpa_mask)  # a model builds no mask at all for a name that has none
