"""Conditioning of queries and keys in torch, as in :mod:`golden.blocks.conditioning`, with gradients.

Means and rotations are computed in float64 and rounded once, as there; results agree to float32 rounding, not bit by
bit, because sums are taken in another order.
"""

from collections.abc import Iterable

import torch

from golden.blocks.conditioning import hadamard
from latte_hw.config.thresholds import check_conditioning


def condition(
    names: Iterable[str],
    q: torch.Tensor,
    k: torch.Tensor,
    *,
    real: torch.Tensor | None = None,
    k_mean: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Apply the named methods to float q (B, H, n, D) and k (B, G, m, D); returns float32.

    ``real`` (B, m) bool: keys that are not padding; only they count in the mean. ``k_mean`` (G, D) replaces the mean of
    each window by a stored one. Raises :class:`LatteError` on an unknown name.
    """
    chosen = check_conditioning(names)
    q, k = q.float(), k.float()
    if "smooth_k" in chosen:
        k = smooth_k(k, real) if k_mean is None else k - k_mean.to(k)[:, None, :]
    if "rotate" in chosen:
        q, k = rotate(q), rotate(k)
    return q, k


def window_mean(k: torch.Tensor, real: torch.Tensor | None = None) -> torch.Tensor:
    """Mean of keys (B, G, m, D) over the tokens that are ``real`` (B, m), float64 (B, G, 1, D)."""
    wide = k.double()
    if real is None:
        return wide.mean(dim=-2, keepdim=True)
    weight = real[:, None, :, None].double()
    return (wide * weight).sum(dim=-2, keepdim=True) / weight.sum(dim=-2, keepdim=True).clamp(min=1)


def smooth_k(k: torch.Tensor, real: torch.Tensor | None = None) -> torch.Tensor:
    """Keys (B, G, m, D) minus their mean over the window's real tokens, per head and dimension; float32."""
    return (k.double() - window_mean(k, real)).float()


def rotate(x: torch.Tensor) -> torch.Tensor:
    """Float queries or keys (B, heads, n, D) times the orthonormal Hadamard matrix; float32."""
    matrix = torch.from_numpy(hadamard(x.shape[-1])).to(x.device)
    with torch.autocast(device_type=x.device.type, enabled=False):
        return torch.matmul(x.double(), matrix).float()
