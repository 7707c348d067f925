"""Equal pruned shares: one number moves a whole set of thresholds, or a rule, until the wanted share is kept.

The number is found on training items. Held-out items keep a slightly different share, and rules differ in that, so
that a comparison at equal share needs one more turn: the goal on training items is corrected by what held-out items
kept, twice at most. Only that share is looked at, never how well the model does. Rows report both shares.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from golden.nn.backend import attach
from golden.nn.rules import KeepRule
from golden.train.model import Measured, ModelUnderTest
from golden.train.positions import Positions

EQUAL = 0.001
"""Greatest difference of pruned shares on held-out items that counts as equal: 0.1 percentage points."""

NEAR = 0.0004
"""Difference from the wanted share at which correcting stops."""

START_TAU = 6.0


@dataclass(frozen=True)
class Family:
    """Settings along one number: a greater one keeps more."""

    move: Callable[[float], None]
    start: float
    step: float  # first guess of how far away the goal is


@dataclass(frozen=True)
class Matched:
    """A setting that keeps the wanted share."""

    value: float  # the family's number
    keep_on_training: float
    held_out: Measured

    @property
    def keep(self) -> float:
        """Share kept on held-out items."""
        return self.held_out.pairs.keep_ratio


def uniform_family(under_test: ModelUnderTest) -> Family:
    """One threshold for every layer and head."""
    thresholds = under_test.runtime.thresholds
    positions = Positions(thresholds)
    sign = -1 if thresholds.signed else 1

    def move(value: float) -> None:
        positions.move_to(torch.full_like(positions.parameter, sign * value))

    return Family(move, 0.0, 2.0) if thresholds.signed else Family(move, positions.of_tau(START_TAU), 0.2)


def shifted_family(under_test: ModelUnderTest, tau: torch.Tensor) -> Family:
    """Thresholds tau (layers, heads), all moved by one shift of their positions."""
    thresholds = under_test.runtime.thresholds
    thresholds.load(tau.to(under_test.device))
    positions = Positions(thresholds)
    base = positions.parameter.detach().clone()
    sign = -1 if thresholds.signed else 1

    def move(value: float) -> None:
        positions.move_to(base + sign * value)

    return Family(move, 0.0, 0.05)


def rule_family(under_test: ModelUnderTest, make: Callable[[float], KeepRule], start: float, step: float) -> Family:
    """Rules made from one number; every move makes a new one."""

    def move(value: float) -> None:
        under_test.runtime.rule = make(value)

    return Family(move, start, step)


def match(under_test: ModelUnderTest, family: Family, keep: float, calibration: int, items: int) -> Matched:
    """The setting that keeps the share ``keep``, found on ``calibration`` training items, judged on held-out ones."""
    attach(under_test.model, under_test.runtime)
    goal, value, step = keep, family.start, family.step
    tried: list[Matched] = []
    for _ in range(3):
        value, on_training = solve(family.move, lambda: under_test.keep_ratio(calibration), goal, value, step)
        family.move(value)
        tried.append(Matched(value, on_training, under_test.measure("soft", "held_out", items)))
        kept = tried[-1].keep
        if abs(kept - keep) <= NEAR or kept == 0:
            break
        goal, step = min(1.0, goal * keep / kept), family.step / 4
    best = min(tried, key=lambda one: abs(one.keep - keep))
    if best is not tried[-1]:
        family.move(best.value)
    return best


def solve(
    move: Callable[[float], None],
    measure: Callable[[], float],
    goal: float,
    start: float,
    step: float,
    *,
    tolerance: float = 1e-4,
    most: int = 16,
    finest: float = 5e-4,
) -> tuple[float, float]:
    """Where a growing function meets ``goal`` > 0, and its value there: (x, f(x)); the nearest of what was tried.

    Brackets the goal with growing steps, then narrows by false position (Illinois) on the logarithm, until the goal is
    met within ``tolerance`` or x is known within ``finest``; at most ``most`` evaluations.
    """
    tried: dict[float, float] = {}

    def excess(x: float) -> float:
        move(x)
        tried[x] = measure()
        return math.log(max(tried[x], 1e-9) / goal)

    def good() -> bool:
        return len(tried) >= most or any(abs(y - goal) <= tolerance for y in tried.values())

    a, at_a = start, excess(start)
    direction = -1 if at_a > 0 else 1
    b, at_b = a, at_a
    while not good() and at_a * at_b > 0:
        a, at_a = b, at_b
        b += direction * step
        at_b, step = excess(b), 2 * step
    while not good() and abs(b - a) > finest:
        c = (a * at_b - b * at_a) / (at_b - at_a) if at_a != at_b else (a + b) / 2
        if c in tried:
            break
        at_c = excess(c)
        if at_c * at_b > 0:
            at_a /= 2
        else:
            a, at_a = b, at_b
        b, at_b = c, at_c
    best = min(tried, key=lambda x: abs(tried[x] - goal))
    return best, tried[best]
