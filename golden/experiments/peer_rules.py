"""Keep rules of other work, under LATTE's own quantisation, and an oracle: what they keep, and what that costs.

Every rule sees the same int8 queries and keys as LATTE, and the same 8-bit scores go into softmax. ``costs`` are bit
operations per pair and dimension, an a×b-bit product counted as a·b: of every valid pair, and of a kept pair on top.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from golden.nn.rules import ScoreTile, need_tau

DENSE = 64
"""Bit operations of an 8×8-bit product: a score, or a weighted value."""

GOLDEN_RATIO = 0.6180339887498949


@dataclass(frozen=True)
class LearnedAbsolute:
    """LeOPArd-like: a score is kept iff it reaches a learned threshold of its own, not one relative to the row's best.

    Reproduced from Li et al., "Accelerating Attention through Gradient-Based Learned Runtime Pruning", ISCA 2022
    (arXiv 2204.03227): an absolute threshold, learned by gradient through a soft mask, on the full-precision score.
    Their bit-serial early termination is conservative, so the keys kept are those of the finished 8-bit score, which
    is what is compared here. Not reproduced: fine-tuning of the weights (the backbone is frozen, as for LATTE), and
    one threshold per layer (here one per head, which can only help). The row's best key is kept in any case.

    Costs: every score in full. Early termination saves part of it; how much depends on their bit-serial circuit.
    """

    costs: ClassVar[tuple[int, int]] = (DENSE, DENSE)

    def keep(self, tile: ScoreTile) -> torch.Tensor:
        score, step = tile.estimate_of(8)
        return ((score * step >= need_tau(tile)) | (score == tile.best(score))) & tile.valid

    def margin(self, tile: ScoreTile) -> torch.Tensor:
        score, step = tile.estimate_of(8)
        return score * step - need_tau(tile)


@dataclass(frozen=True)
class EstimatedProbability:
    """Sanger-like: a key is kept iff its softmax probability, from 4-bit scores, reaches a threshold.

    Reproduced from Lu et al., "Sanger: A Co-Design Framework for Enabling Sparse Attention using Reconfigurable
    Architecture", MICRO 2021: scores from 4-bit q and k, softmax over the row, one global threshold T on the
    probability. ``tau`` is ``-log T``, the same for every head. Here the 4 bits are the most significant ones of
    LATTE's int8, not a quantisation of their own. Not reproduced: packing and splitting of the mask for their array
    (it does not change the mask), and fine-tuning under the mask. The row's best key is kept in any case.

    Costs: the 4-bit estimate; kept scores are computed anew in 8 bits.
    """

    bits: int = 4
    costs: ClassVar[tuple[int, int]] = (16, 2 * DENSE)

    def keep(self, tile: ScoreTile) -> torch.Tensor:
        probability = self._log_probability(tile)
        return ((probability >= -need_tau(tile)) | (probability == tile.best(probability))) & tile.valid

    def margin(self, tile: ScoreTile) -> torch.Tensor:
        return self._log_probability(tile) + need_tau(tile)

    def _log_probability(self, tile: ScoreTile) -> torch.Tensor:
        estimate, step = tile.estimate_of(self.bits)
        logits = (estimate * step).masked_fill(~tile.valid, -torch.inf)
        probability = logits - logits.logsumexp(-1, keepdim=True)
        return probability.masked_fill(~tile.valid, -torch.inf)


@dataclass
class MeanFilter:
    """MP-MRF: rounds of filtering with growing precision, each against a threshold between the row's mean and extremes.

    Reproduced from Zhou et al., "Energon: Towards Efficient Acceleration of Transformers Using Dynamic Sparse
    Attention" (arXiv 2110.09310): in a round with parameter a, -1 < a < 1, the keys left of a row are kept iff their
    score reaches ``a·max + (1 - a)·mean`` for a >= 0, or ``-a·min + (1 + a)·mean`` for a < 0, with maximum, minimum and
    mean over the keys that were left. The first round multiplies 4-bit queries by 2-bit keys, the second 4 by 4 bits.
    The parameters are the same for every head and are not trained, as there. Here the bits are the most significant
    ones of LATTE's int8. Not reproduced: the 16-bit final score (8 bits here, as for every rule).

    Costs: 4×2 bits of every valid pair; the other 4×2 bits of the pairs that the first round leaves; kept scores are
    computed anew in 8 bits. :meth:`pairs` counts the pairs before every round.
    """

    parameters: tuple[float, ...]
    rounds: tuple[tuple[int, int], ...] = ((4, 2), (4, 4))

    def __post_init__(self) -> None:
        self._counts: list[list[torch.Tensor]] = [[] for _ in self.rounds]

    def keep(self, tile: ScoreTile) -> torch.Tensor:
        left = tile.valid.expand_as(tile.estimate)
        for counts, bits, parameter in zip(self._counts, self.rounds, self.parameters, strict=True):
            counts.append(left.sum())
            estimate, _ = tile.estimate_of(*bits)
            left = left & (estimate >= _between(estimate, left, parameter))
        return left

    def margin(self, tile: ScoreTile) -> torch.Tensor:
        """Of the last round alone; its parameters are not trained."""
        estimate, step = tile.estimate_of(*self.rounds[-1])
        valid = tile.valid.expand_as(estimate)
        return (estimate - _between(estimate, valid, self.parameters[-1])) * step

    def pairs(self) -> list[int]:
        """Pairs that every round looked at since the rule was made."""
        return [int(torch.stack(counts).sum()) if counts else 0 for counts in self._counts]


def _between(estimate: torch.Tensor, left: torch.Tensor, parameter: float) -> torch.Tensor:
    """The threshold of every row, (B, H, n, 1), never above the greatest of its keys."""
    greatest = estimate.masked_fill(~left, -torch.inf).amax(-1, keepdim=True)
    count = left.sum(-1, keepdim=True).clamp(min=1)
    mean = (estimate.double() * left).sum(-1, keepdim=True) / count
    if parameter >= 0:
        limit = parameter * greatest + (1 - parameter) * mean
    else:
        least = estimate.masked_fill(~left, torch.inf).amin(-1, keepdim=True)
        limit = -parameter * least + (1 + parameter) * mean
    return torch.minimum(limit.float(), greatest)


@dataclass(frozen=True)
class TopK:
    """Oracle: the keys of greatest exact 8-bit score, as many as wanted, which no estimate can better key by key.

    A query with n valid keys keeps ``count + share·n``, at least one. A fraction is spread over the queries by a fixed
    sequence, so that every wanted share can be met; keys that tie with the last one are kept, too.

    Costs: every score in full, and a sort that is not counted.
    """

    count: float = 0.0
    share: float = 0.0
    costs: ClassVar[tuple[int, int]] = (DENSE, DENSE)

    def keep(self, tile: ScoreTile) -> torch.Tensor:
        score, _ = tile.estimate_of(8)
        masked = score.masked_fill(~tile.valid, -torch.inf)
        valid = tile.valid.sum(-1, keepdim=True)  # (B, 1, n, 1)
        rank = (self.kept_of(valid) - 1).clamp(min=0).expand(*score.shape[:-1], 1)
        most = int(rank.max()) + 1
        last = masked.topk(most, dim=-1).values.gather(-1, rank)
        return (masked >= last) & tile.valid

    def margin(self, tile: ScoreTile) -> torch.Tensor:
        return torch.where(self.keep(tile), torch.inf, -torch.inf)

    def kept_of(self, valid: torch.Tensor) -> torch.Tensor:
        """Keys that queries with ``valid`` (int64) keys keep, of that shape, int64."""
        spread = (valid.double() * GOLDEN_RATIO).frac()
        wanted = (self.count + self.share * valid.double() + spread).floor()
        return wanted.to(torch.int64).clamp(min=1).minimum(valid)
