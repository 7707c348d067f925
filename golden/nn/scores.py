"""Estimates and 8-bit scores of a tile of queries: what the integer and the differentiable attention share."""

from dataclasses import dataclass

import torch

from golden.nn.exact import grouped_matmul
from golden.nn.rules import ScoreTile
from latte_hw.config import Reuse, Split
from latte_hw.params import HeadParams


def split(x: torch.Tensor, params: HeadParams) -> tuple[torch.Tensor, torch.Tensor]:
    """High and low parts of whole numbers (any shape), as :func:`golden.blocks.arith.split`; float32, without gradient.

    A number beyond ``quant_max`` is saturated to it first, as the hardware does at load: that happens only where the
    estimate has fewer bits than the configuration that quantised.
    """
    whole = x.detach().clamp(max=params.widths.quant_max).to(torch.int16)
    shift = params.widths.low_bits
    bias = 1 << (shift - 1) if shift and params.config.split is Split.BALANCED else 0
    high = (whole + bias) >> shift
    return high.float(), (whole - (high << shift)).float()


@dataclass(frozen=True)
class Scorer:
    """Quantised queries and keys of a layer, with everything that a tile of their pairs is made from."""

    q: torch.Tensor  # (B, H, Nq, D) whole numbers in float32, with gradient
    k: torch.Tensor  # (B, G, Nk, D) whole numbers in float32, with gradient
    counts: torch.Tensor  # (B, Nq) valid keys per query
    logit_step: torch.Tensor  # (B, H) float32, logits per step of the score: s_q·s_k/√D
    tau: torch.Tensor | None  # (H,) logits
    tau_int: torch.Tensor  # (B, H) threshold registers
    params: HeadParams
    estimate_bits: int

    def score(self, rows: slice, keys: int) -> torch.Tensor:
        """8-bit scores (B, H, n, keys) of every pair: ``q·k``, less ``q_l·k_l`` for `three_term` reuse.

        Equal to :func:`golden.blocks.reuse_datapath.scores` at kept pairs. The gradient is that of ``q·k``.
        """
        q, k = self.q[:, :, rows], self.k[:, :, :keys]
        whole = product(q, k)
        if self.params.config.reuse is Reuse.EXACT or self.params.widths.low_bits == 0:
            return whole
        return whole - product(split(q, self.params)[1], split(k, self.params)[1])

    @torch.no_grad()
    def estimate(
        self, rows: slice, keys: int, bits: int, key_bits: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Estimates (B, H, n, keys) from that many most significant bits, and their logits per step (B, H, 1, 1).

        With the configured bits equal to :func:`golden.blocks.estimator.estimate`. ``key_bits`` takes another number of
        keys.
        """
        of_q = with_bits(self.params, bits)
        of_k = of_q if key_bits is None else with_bits(self.params, key_bits)
        high_q, high_k = split(self.q[:, :, rows], of_q)[0], split(self.k[:, :, :keys], of_k)[0]
        return product(high_q, high_k), self.logit_step[:, :, None, None] * 2.0 ** (
            of_q.widths.low_bits + of_k.widths.low_bits
        )

    def tile(self, rows: slice, keys: int, score: torch.Tensor) -> ScoreTile:
        """What a rule decides on, for queries ``rows`` and the first ``keys`` keys with their ``score``."""
        estimate, step = self.estimate(rows, keys, self.estimate_bits)
        return ScoreTile(
            estimate=estimate,
            score=score.detach(),
            valid=torch.arange(keys, device=self.counts.device) < self.counts[:, None, rows, None],
            estimate_step=step,
            score_step=self.logit_step[:, :, None, None],
            tau=None if self.tau is None else self.tau[:, None, None],
            tau_int=self.tau_int.float()[:, :, None, None],
            estimate_of=lambda bits, key_bits=None: self.estimate(rows, keys, bits, key_bits),
        )


def with_bits(params: HeadParams, bits: int | None) -> HeadParams:
    """The parameters of an estimate of that many bits; of the configuration itself for None."""
    return params if bits in (None, params.config.msb_bits) else HeadParams(params.config.replace(msb_bits=bits))


def product(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """``q·k`` (B, H, n, m) of queries (B, H, n, D) and keys (B, G, m, D)."""
    return grouped_matmul(q, k.transpose(-1, -2))
