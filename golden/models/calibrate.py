"""One threshold per head such that a wanted share of its valid keys is kept."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.blocks.arith import split
from golden.blocks.estimator import estimate
from golden.blocks.quantize import head_scales, quantize
from golden.blocks.threshold_filter import valid_keys, valid_mask
from latte_hw.config import LatteConfig
from latte_hw.params import HeadParams


@dataclass(frozen=True)
class Calibration:
    """Per query head: the threshold in logits, and the share of valid keys that it keeps."""

    tau: NDArray[np.float32]  # (H,)
    keep_ratio: NDArray[np.float64]  # (H,)


def calibrate(
    q: NDArray[np.float32], k: NDArray[np.float32], causal: bool, keep: float, config: LatteConfig | None = None
) -> Calibration:
    """The `differential` thresholds whose keep ratio is nearest to ``keep`` for q (H, T, D) and k (H_kv, T, D).

    The estimate is that of ``config`` (default: the default configuration), with its ``head_dim`` and ``causal``
    replaced by those of the tensors. A keep ratio below the share of row bests cannot be had: τ is then 0.
    """
    config = (config or LatteConfig()).replace(head_dim=q.shape[-1], causal=causal)
    params = HeadParams(config)
    scale_q, scale_k = head_scales(q, params), head_scales(k, params)
    q_high, _ = split(quantize(q, scale_q, params), params)
    k_high, _ = split(quantize(k, scale_k, params), params)
    valid = valid_mask(valid_keys(q.shape[1], k.shape[1], k.shape[1] - q.shape[1], params), k.shape[1])
    group = len(q) // len(k)
    tau = np.zeros(len(q), np.float32)
    keep_ratio = np.zeros(len(q))
    for head in range(len(q)):
        scores = estimate(q_high[head], k_high[head // group], params)
        best = np.where(valid, scores, -np.inf).max(axis=1, keepdims=True)
        register, keep_ratio[head] = _nearest_threshold((best - scores)[valid].astype(np.int64), keep)
        tau[head] = _logits(register, float(scale_q[head]), float(scale_k[head // group]), params)
    return Calibration(tau, keep_ratio)


def _nearest_threshold(distances: NDArray[np.int64], keep: float) -> tuple[int, float]:
    """The threshold, among the distances of valid keys from their row's best, that keeps nearest to ``keep``."""
    thresholds, counts = np.unique(distances, return_counts=True)
    ratios = np.cumsum(counts) / len(distances)
    nearest = int(np.argmin(np.abs(ratios - keep)))
    return int(thresholds[nearest]), float(ratios[nearest])


def _logits(register: int, scale_q: float, scale_k: float, params: HeadParams) -> float:
    """The τ that :meth:`HeadParams.threshold_register` turns into ``register``.

    Half a step above it, so that rounding τ to float32 cannot move it below; exactly 0 for the row's best alone.
    """
    if register == 0:
        return 0.0
    step = scale_q * scale_k * 2.0 ** (2 * params.widths.low_bits) / params.config.head_dim**0.5
    return (register + 0.5) * step
