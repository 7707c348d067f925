"""Estimates and 8-bit scores of a tile of queries: what the integer and the differentiable attention share."""

from dataclasses import dataclass

import torch

from golden.nn.exact import grouped_matmul
from latte_hw.config import Reuse, Split
from latte_hw.params import HeadParams


def split(x: torch.Tensor, params: HeadParams) -> tuple[torch.Tensor, torch.Tensor]:
    """High and low parts of whole numbers (any shape), as :func:`golden.arith.split`; float32, without gradient.

    A number beyond ``quant_max`` is saturated to it first, as the hardware does at load: that happens only where the
    estimate has fewer bits than the configuration that quantised.
    """
    whole = x.detach().clamp(max=params.quant_max).to(torch.int16)
    shift = params.low_bits
    bias = 1 << (shift - 1) if shift and params.config.split is Split.BALANCED else 0
    high = (whole + bias) >> shift
    return high.float(), (whole - (high << shift)).float()


@dataclass(frozen=True)
class Operands:
    """Quantised queries and keys of a layer and their low parts, ready for tiles. Whole numbers in float32."""

    q: torch.Tensor  # (B, H, Nq, D), with gradient
    k: torch.Tensor  # (B, G, Nk, D), with gradient
    q_low: torch.Tensor | None  # None where the score is the whole int8 dot product
    k_low: torch.Tensor | None

    @classmethod
    def of(cls, q: torch.Tensor, k: torch.Tensor, params: HeadParams) -> "Operands":
        if params.config.reuse is Reuse.EXACT or params.low_bits == 0:
            return cls(q, k, None, None)
        return cls(q, k, split(q, params)[1], split(k, params)[1])

    def scores(self, rows: slice, keys: int) -> torch.Tensor:
        """8-bit scores (B, H, n, keys) of every pair: ``q·k``, less ``q_l·k_l`` for `three_term` reuse.

        Equal to :func:`golden.reuse_datapath.scores` at kept pairs. The gradient is that of ``q·k``.
        """
        score = product(self.q, self.k, rows, keys)
        if self.q_low is None or self.k_low is None:
            return score
        return score - product(self.q_low, self.k_low, rows, keys)

    def estimate(self, rows: slice, keys: int, params: HeadParams) -> torch.Tensor:
        """Estimates (B, H, n, keys) from the high parts, as ``params`` splits: :func:`golden.estimator.estimate`."""
        high_q, high_k = split(self.q[:, :, rows], params)[0], split(self.k[:, :, :keys], params)[0]
        return product(high_q, high_k, slice(None), keys)


def product(q: torch.Tensor, k: torch.Tensor, rows: slice, keys: int) -> torch.Tensor:
    """``q·k`` (B, H, n, keys) of the chosen queries and the first keys."""
    return grouped_matmul(q[:, :, rows], k[:, :, :keys].transpose(-1, -2))
