"""Where thresholds lie on an axis along which a step means the same for small and large ones.

    position = log(tau + OFFSET)        tau = exp(position) - OFFSET, never below 0

A step of 0.01 changes a large threshold by 1 %, and a threshold much below OFFSET by 1 % of OFFSET, so that 0 is
reached and left again. Signed thresholds (the `static` rule) have no natural unit: there the position is tau.
"""

import math

import torch

from golden.nn.thresholds import Thresholds

OFFSET = 0.25
"""Logits below which steps stop shrinking."""


class Positions:
    """The positions (layers, heads) of a set of thresholds, as the parameter that an optimizer moves.

    The thresholds stay the ones that the model's attention reads: :meth:`pull_gradient` brings their gradient here,
    :meth:`push` brings positions there.
    """

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self.parameter = torch.nn.Parameter(self._of_tau(thresholds.raw.detach()))

    def pull_gradient(self) -> None:
        """Set the parameter's gradient from the one that a backward pass left at the thresholds; clears that."""
        self.parameter.grad = self.chain(self._thresholds.raw.grad)
        self._thresholds.raw.grad = None

    def chain(self, gradient: torch.Tensor | None) -> torch.Tensor:
        """The gradient by position, (layers, heads), of a gradient by threshold."""
        if gradient is None:
            return torch.zeros_like(self.parameter)
        return gradient if self._thresholds.signed else gradient * self.parameter.detach().exp()

    @torch.no_grad()
    def push(self) -> None:
        """Write the positions to the thresholds; what went below 0 comes back to it."""
        if not self._thresholds.signed:
            self.parameter.clamp_(min=math.log(OFFSET))
        self._thresholds.load(self.tau(self.parameter))

    @torch.no_grad()
    def move_to(self, positions: torch.Tensor) -> None:
        """Take these positions (layers, heads), and write them to the thresholds."""
        self.parameter.copy_(positions)
        self.push()

    def tau(self, positions: torch.Tensor) -> torch.Tensor:
        """Thresholds in logits of positions (any shape)."""
        return positions if self._thresholds.signed else (positions.exp() - OFFSET).clamp(min=0)

    def of_tau(self, tau: float) -> float:
        """Position of one threshold in logits."""
        return float(self._of_tau(torch.tensor(tau, dtype=torch.float64)))

    def _of_tau(self, tau: torch.Tensor) -> torch.Tensor:
        return tau.clone() if self._thresholds.signed else (tau + OFFSET).log()
