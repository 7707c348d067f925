"""Thresholds per layer and query head: the only trainable parameters."""

import torch

from latte_hw.config.errors import LatteError


class Thresholds(torch.nn.Module):
    """τ of every layer and query head, in logits (natural logarithm), float32.

    The parameter ``raw`` is τ itself; below 0 it counts as 0, and its gradient passes as if it did not, so that a
    threshold at exactly 0 can grow again. Call :meth:`project_` after every optimizer step. ``signed`` thresholds, for
    the `static` rule, may be of any sign.
    """

    def __init__(self, layers: int, heads: int, *, initial: float = 6.0, signed: bool = False) -> None:
        super().__init__()
        if layers < 1 or heads < 1:
            raise LatteError(f"thresholds need at least one layer and one head, not {layers} and {heads}")
        self.signed = signed
        self.raw = torch.nn.Parameter(torch.empty(layers, heads, dtype=torch.float32))
        self.load(torch.full((layers, heads), float(initial)))

    @property
    def layers(self) -> int:
        return self.raw.shape[0]

    @property
    def heads(self) -> int:
        return self.raw.shape[1]

    def tau(self) -> torch.Tensor:
        """Thresholds (layers, heads), differentiable in ``raw``."""
        if self.signed:
            return self.raw
        return self.raw + (self.raw.clamp(min=0) - self.raw).detach()

    forward = tau

    def values(self) -> torch.Tensor:
        """Thresholds (layers, heads) as they go into a file: float32 on the CPU, without gradient."""
        tau: torch.Tensor = self.raw.detach()
        return (tau if self.signed else tau.clamp(min=0)).cpu().clone()

    @torch.no_grad()
    def load(self, values: torch.Tensor) -> None:
        """Take thresholds, shape (layers, heads). :class:`LatteError` on another shape, and on negative ones, NaN and
        infinity."""
        if tuple(values.shape) != tuple(self.raw.shape):
            raise LatteError(
                f"thresholds must have shape {tuple(self.raw.shape)}, layers and heads, not {tuple(values.shape)}"
            )
        if not values.isfinite().all():
            raise LatteError(f"thresholds must be finite, but hold {'NaN' if values.isnan().any() else 'infinity'}")
        if not self.signed and (values < 0).any():
            raise LatteError(f"thresholds must be 0 or more, not {float(values.min()):g}")
        self.raw.copy_(values)

    @torch.no_grad()
    def project_(self) -> None:
        """Bring what an optimizer step pushed below 0 back to 0."""
        if not self.signed:
            self.raw.clamp_(min=0)
