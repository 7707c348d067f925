"""Differentiable attention for training thresholds: exact integer scores and a hard mask forward, a soft one backward.

Forward: scores are the hardware's integers (estimate and 8-bit score, exact), kept keys are the rule's, and the
softmax over them is float32 over ``score · s_q·s_k/√D``; values are dequantised. What the hardware adds to that is the
rounding of its weights and outputs.

Backward, apart from that arithmetic: the mask counts as ``sigmoid(margin / κ)`` (straight through), so that a
threshold feels the keys that it drops as well as those that it keeps. q, k and v get the gradient of their dequantised
values through scores and softmax, as if the estimate were not there: thresholds of earlier layers need it.

Nothing of size Nq × Nk outlives a tile of queries: backward computes it again. Measured on an H100, SmolLM2-135M's
shape, a training step with its teacher: 2.8 GiB for 1024 tokens, 9.6 GiB for four windows of 1024 or one of 4096.
"""

from dataclasses import dataclass

import torch
from torch.utils.checkpoint import checkpoint

from golden.nn.exact import exact_float32, grouped_matmul
from golden.nn.quantize import Quantized, threshold_registers
from golden.nn.rules import KeepRule
from golden.nn.scores import Scorer, with_bits
from golden.nn.valid import tiles
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
    estimate_params = with_bits(params, estimate_bits)
    scorer = Scorer(
        q=tensors.q,
        k=tensors.k,
        counts=counts,
        logit_step=tensors.logit_step(),
        tau=tau,
        tau_int=threshold_registers(tau, tensors.scale_q, tensors.scale_k, estimate_params),
        params=params,
        estimate_bits=estimate_params.config.msb_bits,
    )
    heads, n_keys = tensors.q.shape[1], tensors.k.shape[2]
    kept = torch.zeros(heads, dtype=torch.int64, device=tau.device)
    soft_kept = torch.zeros(heads, device=tau.device)
    out = torch.zeros_like(tensors.q)
    for rows, keys in tiles(counts, n_keys, heads):
        part, soft_part, kept_part = checkpoint(
            _tile, scorer, tensors.v, rows, keys, rule, kappa, use_reentrant=False, preserve_rng_state=False
        )
        out[:, :, rows] = part
        soft_kept, kept = soft_kept + soft_part, kept + kept_part
    scale_v = tensors.scale_v.repeat_interleave(tensors.group, dim=1)[:, :, None, None]
    return SoftResult(out * scale_v, None if kappa is None else soft_kept, kept, counts.sum().expand(heads))


def _tile(
    scorer: Scorer, v: torch.Tensor, rows: slice, keys: int, rule: KeepRule, kappa: float | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Output (B, H, n, D) in steps of V, soft and hard number of kept pairs (H,) of some queries."""
    with exact_float32(v.device):
        score = scorer.score(rows, keys)
        tile = scorer.tile(rows, keys, score)
        with torch.no_grad():
            keep = rule.keep(tile)
        mask, soft_kept = keep.float(), torch.zeros(keep.shape[1], device=keep.device)
        if kappa is not None:
            soft = torch.sigmoid(rule.margin(tile) / kappa) * tile.valid
            mask, soft_kept = mask + (soft - soft.detach()), soft.sum((0, 2, 3))
        weight = mask * _relative_exp(score * tile.score_step, tile.valid)
        total = weight.sum(-1, keepdim=True)
        out = grouped_matmul(weight / torch.where(total > 0, total, 1), v[:, :, :keys])
    return out, soft_kept, keep.sum((0, 2, 3))


def _relative_exp(logits: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """``exp(logits - greatest)`` where valid, otherwise 0; the greatest is over the valid keys of each query."""
    masked = logits.masked_fill(~valid, -torch.inf)
    greatest = masked.detach().amax(-1, keepdim=True).clamp(min=torch.finfo(logits.dtype).min)
    return torch.exp(masked - greatest)
