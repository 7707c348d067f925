"""Which keys a query keeps, as an exchangeable object: the rules of the hardware, and what peers do instead.

A rule looks at a tile: some queries with all their keys. ``keep`` decides, in exact integers where the rule has them;
``margin`` says by how much, in logits, so that thresholds can be trained: a key is kept about where it is >= 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from latte_hw.config import LatteConfig, Rule
from latte_hw.config.errors import LatteError


@dataclass(frozen=True)
class ScoreTile:
    """What a rule decides on. B windows, H query heads, n queries, m keys; whole numbers are float32 and exact.

    Nothing here carries a gradient except ``tau``.
    """

    estimate: torch.Tensor  # (B, H, n, m) whole numbers, of invalid pairs too
    score: torch.Tensor  # (B, H, n, m) the 8-bit scores as configured, whole numbers, of dropped pairs too
    valid: torch.Tensor  # (B, 1, n, m) bool
    estimate_step: torch.Tensor  # (B, H, 1, 1) float32, logits per step of the estimate
    score_step: torch.Tensor  # (B, H, 1, 1) float32, logits per step of the score
    tau: torch.Tensor | None  # (H, 1, 1) float32, thresholds in logits; None where only registers are known
    tau_int: torch.Tensor  # (B, H, 1, 1) float32, threshold registers
    estimate_of: Callable[..., tuple[torch.Tensor, torch.Tensor]]
    """Estimate from that many most significant bits, (B, H, n, m), and its logits per step, (B, H, 1, 1); a second
    number takes another number of bits of keys."""

    def best(self, values: torch.Tensor) -> torch.Tensor:
        """Greatest of ``values`` (B, H, n, m) over the valid keys of a query, (B, H, n, 1); -inf without any."""
        return values.masked_fill(~self.valid, -torch.inf).amax(-1, keepdim=True)


class KeepRule(Protocol):
    """Decides which keys are kept. A rule may hold parameters of its own."""

    def keep(self, tile: ScoreTile) -> torch.Tensor:
        """Mask (B, H, n, m) of kept pairs: valid ones only, and at least one of every query that has a valid key."""
        ...

    def margin(self, tile: ScoreTile) -> torch.Tensor:
        """How far each pair is from being dropped, (B, H, n, m), in logits; differentiable in ``tile.tau``."""
        ...


@dataclass(frozen=True)
class Differential:
    """Kept iff the estimate is within the threshold of the best of its row (:attr:`latte_hw.config.Rule`)."""

    def keep(self, tile: ScoreTile) -> torch.Tensor:
        return (tile.estimate >= tile.best(tile.estimate) - tile.tau_int) & tile.valid

    def margin(self, tile: ScoreTile) -> torch.Tensor:
        return need_tau(tile) - (tile.best(tile.estimate) - tile.estimate) * tile.estimate_step


@dataclass(frozen=True)
class Static:
    """Kept iff the estimate reaches the threshold, or is the best of its row (:attr:`latte_hw.config.Rule`)."""

    def keep(self, tile: ScoreTile) -> torch.Tensor:
        return (tile.estimate >= torch.minimum(tile.best(tile.estimate), tile.tau_int)) & tile.valid

    def margin(self, tile: ScoreTile) -> torch.Tensor:
        return tile.estimate * tile.estimate_step - need_tau(tile)


@dataclass(frozen=True)
class KeepAll:
    """Every valid key is kept: dense attention."""

    def keep(self, tile: ScoreTile) -> torch.Tensor:
        return tile.valid.expand_as(tile.estimate)

    def margin(self, tile: ScoreTile) -> torch.Tensor:
        return torch.full_like(tile.estimate, torch.inf)


def configured_rule(config: LatteConfig) -> KeepRule:
    """The rule that the hardware of ``config`` applies."""
    return Differential() if config.rule is Rule.DIFFERENTIAL else Static()


def need_tau(tile: ScoreTile) -> torch.Tensor:
    """The tile's thresholds; :class:`LatteError` when only registers are known."""
    if tile.tau is None:
        raise LatteError("this rule has no margin without thresholds in logits")
    return tile.tau
