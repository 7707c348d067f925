"""Differentiable attention for training thresholds: exact integer scores and a hard mask forward, a soft one backward.

Forward: scores are the hardware's integers (estimate and 8-bit score, exact), kept keys are the rule's, and the
softmax over them is float32 over ``score · s_q·s_k/√D``; values are dequantised. What the hardware adds to that is the
rounding of its weights and outputs.

Backward, apart from that arithmetic: the mask counts as ``sigmoid(margin / κ)`` (straight through), so that a
threshold feels the keys that it drops as well as those that it keeps. q, k and v get the gradient of their dequantised
values through scores and softmax, as if the estimate were not there: thresholds of earlier layers need it.

Nothing of size Nq × Nk outlives a tile of queries: backward computes it again.
"""

from dataclasses import dataclass

import torch

from golden.nn.quantize import Quantized
from golden.nn.rules import KeepRule
from latte_hw.params import HeadParams


@dataclass(frozen=True)
class SoftResult:
    """Output of a layer and how many pairs were kept."""

    out: torch.Tensor  # (B, H, Nq, D) float32
    soft_kept: torch.Tensor | None  # (H,) float32, sum of the soft mask over valid pairs; None without kappa
    kept: torch.Tensor  # (H,) int64, pairs kept
    valid: torch.Tensor  # (H,) int64, valid pairs


def soft_attention(
    tensors: Quantized,
    counts: torch.Tensor,
    tau: torch.Tensor,
    rule: KeepRule,
    params: HeadParams,
    *,
    kappa: float | None,
    estimate_bits: int | None = None,
) -> SoftResult:
    """Attend with quantised tensors and thresholds tau (H,) in logits; ``counts`` (B, Nq), see golden.nn.valid.

    ``kappa`` > 0 is the sigmoid's temperature in logits; None leaves the soft mask out (evaluation). ``estimate_bits``
    takes the estimate from another number of bits than ``msb_bits``, with the same scores.
    """
    raise NotImplementedError
