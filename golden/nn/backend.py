"""LATTE as the attention backend of a Hugging Face model, named "latte" in transformers' attention interface.

    runtime = LatteRuntime(config, thresholds, conditioning=("smooth_k", "rotate"), scales="window", mode="soft")
    attach(model, runtime)
    logits = model(ids).logits
    loss = task(logits) + alpha * runtime.soft_keep()

Causality is that of the model's attention modules (``is_causal``). Padding must be on the right.
"""

from typing import Any

import numpy as np
import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from golden.nn.quantize import StaticScales
from golden.nn.runtime import LatteRuntime, LayerCall, Statistics
from golden.nn.valid import counts_of_mask, valid_counts
from latte_hw.config.errors import LatteError

__all__ = ["LatteRuntime", "LayerCall", "StaticScales", "Statistics", "attach", "attention_modules", "detach"]

NAME = "latte"
"""Name in transformers' attention interface."""

_HERE = "_latte"
"""Attribute of an attached attention module: the runtime and the layer's number."""


def attach(model: PreTrainedModel, runtime: LatteRuntime) -> None:
    """From now on ``model`` attends through ``runtime``; layers are numbered from 0 in the order of its modules.

    Attaching again replaces the runtime. Raises :class:`LatteError` when the model does not follow the attention
    interface, when its head_dim is not the configuration's, or when the thresholds have other layers or heads.
    """
    modules = attention_modules(model)
    layers, heads = len(modules), int(model.config.num_attention_heads)
    thresholds = runtime.thresholds
    if (thresholds.layers, thresholds.heads) != (layers, heads):
        raise LatteError(
            f"{type(model).__name__} has {layers} attention layers of {heads} heads, but the thresholds are for "
            f"{thresholds.layers} layers of {thresholds.heads}: they belong to another model"
        )
    dim = head_dim(model)
    if dim != runtime.config.head_dim:
        raise LatteError(f"{type(model).__name__} has head_dim {dim}, not {runtime.config.head_dim} as configured")
    before = model.config._attn_implementation
    if before != NAME:
        model.set_attn_implementation(NAME)
        if model.config._attn_implementation != NAME:
            raise LatteError(f"{type(model).__name__} does not use transformers' attention interface")
        setattr(model, _HERE, before)
    for layer, module in enumerate(modules):
        setattr(module, _HERE, (runtime, layer))


def detach(model: PreTrainedModel) -> None:
    """Restore the attention backend that ``model`` had before :func:`attach`; does nothing if it has that already."""
    if model.config._attn_implementation != NAME:
        return
    model.set_attn_implementation(getattr(model, _HERE))
    delattr(model, _HERE)
    for module in attention_modules(model):
        delattr(module, _HERE)


def attention_modules(model: PreTrainedModel) -> list[torch.nn.Module]:
    """The attention modules of a model, in order: layer 0 first. :class:`LatteError` when there is none we know."""
    modules = [module for module in model.modules() if hasattr(module, "is_causal") and hasattr(module, "scaling")]
    if not modules:
        raise LatteError(f"{type(model).__name__} has no attention of a kind that LATTE knows")
    return modules


def head_dim(model: PreTrainedModel) -> int:
    """Dimensions of one head of a model."""
    given = getattr(model.config, "head_dim", None)
    return int(given or model.config.hidden_size // model.config.num_attention_heads)


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """The attention function of an attached model: (B, heads, n, D) in, (B, n, H, D) out."""
    here: tuple[LatteRuntime, int] | None = getattr(module, _HERE, None)
    if here is None:
        raise LatteError(f"{type(module).__name__} is called as latte attention, but has no runtime: attach() one")
    runtime, layer = here
    if kwargs.get("dropout"):
        raise LatteError("LATTE attention has no dropout: call model.eval() first")
    if runtime.mode != "float" or runtime.watch is not None:
        call = _call(module, layer, query, key, value, attention_mask, kwargs)
        if runtime.mode != "float":
            return runtime.attend(call).to(query.dtype).transpose(1, 2), None
        if runtime.watch is not None:
            runtime.watch(call.detached())
    result: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    return result


def _call(
    module: torch.nn.Module,
    layer: int,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    given: dict[str, Any],
) -> LayerCall:
    """What a layer attends with, in our terms: logits are q·k/√D, and a query sees the first so many keys."""
    if key.shape[-1] != value.shape[-1]:
        raise LatteError(f"keys have {key.shape[-1]} elements and values {value.shape[-1]}; they must agree")
    batch, _, n_queries, dim = query.shape
    n_keys = key.shape[2]
    causal, scaling = given.get("is_causal"), given.get("scaling")
    causal = bool(module.is_causal if causal is None else causal)
    if mask is not None:
        counts = counts_of_mask(mask).expand(batch, n_queries)
    else:
        counts = valid_counts(batch, n_queries, n_keys, n_keys - n_queries if causal else None, query.device)
    factor = np.float32(1 if scaling is None else scaling * dim**0.5)  # 1 for the usual scaling, but for rounding
    return LayerCall(layer, query.float() * float(factor), key.float(), value.float(), counts, causal)


AttentionInterface.register(NAME, _attend)
AttentionMaskInterface.register(NAME, sdpa_mask)  # a model builds no mask at all for a name that has none
