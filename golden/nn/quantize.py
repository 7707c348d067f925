"""Quantisation to int8 and the registers that follow from it, bit-equal to :mod:`golden.blocks.quantize` and
``HeadParams``.

Quantised tensors are whole numbers in float32. Their gradient is straight through: that of the dequantised value
(``d x8 / d x = 1 / scale``, 0 where the value saturates), with the scales taken as constants.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch

from golden.blocks.quantize import INT8_MIN
from latte_hw.config.errors import LatteError
from latte_hw.params import SCALE_MANTISSA_BITS, SCALE_SHIFT_BITS, HeadParams


@dataclass(frozen=True)
class LayerScales:
    """Stored int8 steps of one layer, and the keys' mean that `smooth_k` subtracts."""

    q: torch.Tensor  # (H,) float32
    k: torch.Tensor  # (G,)
    v: torch.Tensor  # (G,)
    k_mean: torch.Tensor | None = None  # (G, D) float32, before any rotation


@dataclass(frozen=True)
class StaticScales:
    """Stored int8 steps of every layer (`static` calibration): steps of q and k are those of conditioned tensors."""

    q: torch.Tensor  # (layers, H) float32
    k: torch.Tensor  # (layers, G)
    v: torch.Tensor  # (layers, G)
    k_mean: torch.Tensor | None = None  # (layers, G, D) float32, before any rotation

    def check(self, layers: int, heads: int, *, smooth: bool) -> None:
        """:class:`LatteError` unless these are scales of that many layers and query heads, with a mean to smooth by."""
        if tuple(self.q.shape) != (layers, heads) or self.k.shape != self.v.shape or len(self.k) != layers:
            raise LatteError(
                f"stored scales are not those of {layers} layers of {heads} heads, but {tuple(self.q.shape)}"
            )
        for name, steps in (("q", self.q), ("k", self.k), ("v", self.v)):
            if not (steps.isfinite() & (steps > 0)).all():
                raise LatteError(f"stored scales of {name} must be above 0 and finite")
        if smooth and self.k_mean is None:
            raise LatteError("conditioning 'smooth_k' with stored scales needs the stored means of the keys, too")

    def layer(self, number: int, device: torch.device | str = "cpu") -> LayerScales:
        mean = None if self.k_mean is None else self.k_mean[number].to(device)
        return LayerScales(self.q[number].to(device), self.k[number].to(device), self.v[number].to(device), mean)


@dataclass(frozen=True)
class Quantized:
    """Quantised tensors of a layer. B windows, H query heads, G K/V heads; whole numbers in float32."""

    q: torch.Tensor  # (B, H, Nq, D)
    k: torch.Tensor  # (B, G, Nk, D)
    v: torch.Tensor  # (B, G, Nk, D)
    scale_q: torch.Tensor  # (B, H) float32
    scale_k: torch.Tensor  # (B, G)
    scale_v: torch.Tensor  # (B, G)

    @property
    def group(self) -> int:
        """Query heads that share one K/V head."""
        return self.q.shape[1] // self.k.shape[1]

    def logit_step(self) -> torch.Tensor:
        """Logits per step of the int8 dot product, ``s_q·s_k/√D``, (B, H) float32."""
        return per_query_head(self.scale_q, self.scale_k) / math.sqrt(self.q.shape[-1])


def quantize_all(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    params: HeadParams,
    *,
    scales: LayerScales | None = None,
    real: torch.Tensor | None = None,
    clip: float = 1.0,
) -> Quantized:
    """Quantise conditioned q (B, H, Nq, D), k and v (B, G, Nk, D).

    Steps are those of each window and head (``max|x| / hi`` over its real tokens, hi being ``quant_max`` for q and k,
    whose steps count ``clip`` times, and 127 for v), or the stored ``scales``.
    ``real`` (B, Nk) bool marks the tokens that are not padding (of q, the last Nq of them).
    """
    if scales is not None:
        steps = [x.to(q.device, torch.float32).expand(len(q), -1) for x in (scales.q, scales.k, scales.v)]
    else:
        real_q = None if real is None else real[:, real.shape[1] - q.shape[2] :]
        steps = [
            head_scales(q, params, real_q, clip),
            head_scales(k, params, real, clip),
            head_scales(v, params, real, tensor="v"),
        ]
    whole = [quantize(x, step, params, name) for name, x, step in zip("qkv", (q, k, v), steps, strict=True)]
    return Quantized(*whole, *steps)


def head_scales(
    x: torch.Tensor, params: HeadParams, real: torch.Tensor | None = None, clip: float = 1.0, tensor: str = "q"
) -> torch.Tensor:
    """One int8 step per window and head, (B, heads) float32, of x (B, heads, n, D), a ``tensor`` q, k or v; see
    :mod:`golden.blocks.quantize`."""
    x = x.detach().float()
    if real is not None:
        x = x.masked_fill(~real[:, None, :, None], 0)
    scales = x.abs().amax(dim=(2, 3)) * clip / params.widths.greatest(tensor)
    return torch.where(scales > 0, scales, torch.ones_like(scales))


class _RoundStraightThrough(torch.autograd.Function):
    """Round half to even; the gradient passes unchanged."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return torch.round(x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return gradients[0]


def quantize(x: torch.Tensor, scales: torch.Tensor, params: HeadParams, tensor: str = "q") -> torch.Tensor:
    """x (B, heads, n, D), a ``tensor`` q, k or v, in steps of ``scales`` (B, heads): whole numbers in float32,
    saturated to the range of that tensor."""
    steps = x.float() / scales[:, :, None, None]
    rounded: torch.Tensor = _RoundStraightThrough.apply(steps)  # the greatest element may be a hair above the limit
    return rounded.clamp(INT8_MIN, params.widths.greatest(tensor))


def per_query_head(scale_q: torch.Tensor, scale_k: torch.Tensor) -> torch.Tensor:
    """``s_q·s_k`` of every query head, (B, H), in the type of its arguments, from (B, H) and (B, G)."""
    return scale_q * scale_k.repeat_interleave(scale_q.shape[1] // scale_k.shape[1], dim=1)


def threshold_registers(
    tau: torch.Tensor, scale_q: torch.Tensor, scale_k: torch.Tensor, params: HeadParams
) -> torch.Tensor:
    """:meth:`HeadParams.threshold_register` of tau (H,) in logits, for every window and head: int64 (B, H)."""
    low, high = params.widths.threshold_range
    step = per_query_head(scale_q.double(), scale_k.double()) * 2.0 ** (2 * params.widths.low_bits)
    steps = tau.detach().double() * math.sqrt(params.config.head_dim) / step
    return steps.floor().nan_to_num(nan=low, posinf=high, neginf=low).clamp(low, high).to(torch.int64)


def softmax_registers(
    scale_q: torch.Tensor, scale_k: torch.Tensor, params: HeadParams
) -> tuple[torch.Tensor, torch.Tensor]:
    """:meth:`HeadParams.softmax_scale_register` of every window and head: mantissa and shift, int64 (B, H)."""
    logit = per_query_head(scale_q.double(), scale_k.double()) / math.sqrt(params.config.head_dim)
    fraction, exponent = torch.frexp(2.0 * logit * math.log2(math.e) * 2.0**params.widths.exp_fraction_bits)
    mantissa = torch.round(fraction * 2**SCALE_MANTISSA_BITS).to(torch.int64)
    overflow = mantissa == 2**SCALE_MANTISSA_BITS
    mantissa = torch.where(overflow, mantissa // 2, mantissa)
    shift = SCALE_MANTISSA_BITS - exponent.to(torch.int64) - overflow.to(torch.int64)
    large, small = shift < 0, shift >= 2**SCALE_SHIFT_BITS
    mantissa = mantissa.masked_fill(large, 2**SCALE_MANTISSA_BITS - 1).masked_fill(small, 0)
    return mantissa, shift.masked_fill(large | small, 0)
