"""Attention of a model in training that measures how many keys its queries spread over, so that a loss can limit it.

A query with attention probabilities p spreads over ``exp(-Σ p·ln p)`` keys. Trained on little, a vision transformer
averages over most of an image, and every key then counts as much as the next: no threshold can prune that. Models
trained at length on much come to look at few keys by themselves; a small loss on spread gets there within minutes.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_NAME = "latte_spread"
SAMPLE = 4
"""One in so many images of a batch is looked at: the probabilities of all would not fit the time."""

_seen: list[torch.Tensor] = []  # per attention layer of the last forward pass: mean entropy of every head (H,), nats


@contextmanager
def watched(model: PreTrainedModel) -> Iterator[None]:
    """Within the block, every forward pass of ``model`` leaves its spread for :func:`excess`; results are the same."""
    before = model.config._attn_implementation
    model.set_attn_implementation(_NAME)
    try:
        yield
    finally:
        _seen.clear()
        model.set_attn_implementation(before)


def excess(keys: float) -> torch.Tensor:
    """By how much the heads of the last forward pass spread over more than ``keys`` keys: nats, mean over all heads,
    nothing for heads that do not; differentiable, scalar."""
    entropy = torch.stack(_seen)
    return (entropy - math.log(keys)).clamp(min=0).mean()


def spread() -> list[list[float]]:
    """Keys that every layer's heads spread over, (layers, heads), in the last forward pass."""
    return [[round(x, 2) for x in one.detach().exp().tolist()] for one in _seen]


def begin() -> None:
    """Before a forward pass: forget the one before."""
    _seen.clear()


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **given: Any,
) -> tuple[torch.Tensor, None]:
    """The usual attention, and the mean entropy of every head over a sample of the batch."""
    some = slice(0, None, SAMPLE)
    logits = (query[some] @ key[some].transpose(-1, -2)).float() * query.shape[-1] ** -0.5  # (b, H, N, N)
    probabilities = logits.softmax(-1)
    entropy = logits.logsumexp(-1) - (probabilities * logits).sum(-1)  # (b, H, N)
    _seen.append(entropy.mean((0, 2)))
    result: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **given)
    return result


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, sdpa_mask)  # a model builds no mask at all for a name that has none
