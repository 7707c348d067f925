"""Thresholds and stored scales from training items, without gradients; nothing held out is looked at.

A threshold's *position* is where it lies on the axis along which steps mean the same everywhere (see
:mod:`golden.train.positions`); one common shift of all positions moves a whole set of thresholds along its trade-off.
"""

import math
from collections.abc import Callable

import numpy as np
import torch

from golden.nn.backend import LayerCall
from golden.nn.condition import condition, window_mean
from golden.nn.quantize import head_scales
from golden.train.model import ModelUnderTest
from golden.train.positions import Positions
from golden.train.task import batches
from latte_hw.config import Rule
from latte_hw.config.errors import LatteError
from latte_hw.config.thresholds import StaticArrays
from latte_hw.params import HeadParams

LARGEST_TAU = 64.0
"""Logits within which head-wise thresholds are looked for: a key at that distance weighs less than 1e-27."""

FIRST_TAU = 4.0
"""Logits at which the search for a uniform threshold begins."""

FIRST_STEP, FARTHEST = 0.05, 100.0
"""First step of a search for a shift, and how far it goes, in positions."""


def static_scales(under_test: ModelUnderTest, count: int, quantile: float = 1.0) -> StaticArrays:
    """Scales and K means for `static` calibration, from the first ``count`` training items with dense attention.

    The step of a head is a quantile, over the items, of the steps that `window` calibration would take; 1 takes the
    greatest, less lets a few rare values saturate and keeps the steps finer. Means are over all tokens.
    """
    if not 0 < quantile <= 1:
        raise LatteError(f"the quantile of static scales must be above 0 and at most 1, not {quantile:g}")
    runtime = under_test.runtime
    params, names = HeadParams(runtime.config), runtime.conditioning
    smooth = "smooth_k" in names
    means: dict[int, torch.Tensor] = {}

    def sum_means(call: LayerCall) -> None:
        total = window_mean(call.k)[:, :, 0].sum(0)
        means[call.layer] = means.get(call.layer, torch.zeros_like(total)) + total

    steps: dict[int, list[tuple[torch.Tensor, ...]]] = {}

    def take_steps(call: LayerCall) -> None:
        mean = (means[call.layer] / count).float() if smooth else None
        q, k = condition(names, call.q, call.k, k_mean=mean)
        steps.setdefault(call.layer, []).append(
            (
                head_scales(q, params, clip=runtime.clip),
                head_scales(k, params, clip=runtime.clip),
                head_scales(call.v, params, tensor="v"),
            )
        )

    before = runtime.watch
    try:
        for watch in (sum_means, take_steps) if smooth else (take_steps,):
            runtime.watch = watch
            _run_float(under_test, count)
    finally:
        runtime.watch = before

    def picked(which: int) -> np.ndarray:
        rows = [torch.cat([one[which] for one in steps[layer]]) for layer in sorted(steps)]
        return torch.stack([torch.quantile(row, quantile, dim=0) for row in rows]).float().cpu().numpy()

    k_mean = None
    if smooth:
        k_mean = torch.stack([means[layer] / count for layer in sorted(means)]).float().cpu().numpy()
    return StaticArrays(q=picked(0), k=picked(1), v=picked(2), k_mean=k_mean)


def _run_float(under_test: ModelUnderTest, count: int) -> None:
    with torch.no_grad():
        for items in batches(count, under_test.batch):
            under_test.logits(under_test.load("train", items), "float")


def uniform(under_test: ModelUnderTest, keep: float, count: int) -> float:
    """Set every threshold to the same value, such that the share ``keep`` of all valid pairs is kept; returns it."""
    positions = Positions(under_test.runtime.thresholds)
    first = 0.0 if under_test.runtime.thresholds.signed else FIRST_TAU
    positions.move_to(torch.full_like(positions.parameter, positions.of_tau(first)))
    shift_to_keep(under_test, keep, count)
    return float(under_test.runtime.thresholds.values()[0, 0])


def head_wise(under_test: ModelUnderTest, keep: float, count: int, rounds: int = 11) -> None:
    """Set every head's threshold such that the share ``keep`` of its own valid pairs is kept.

    All heads are bisected side by side, ``rounds`` passes over ``count`` training items. A head that keeps more even
    at 0 (ties for the best) stays there.
    """
    _check_keep(keep)
    positions = Positions(under_test.runtime.thresholds)
    sign = _sign(under_test)
    ends = [torch.full_like(positions.parameter.data, sign * positions.of_tau(x)) for x in _range(under_test)]
    low, high = torch.minimum(*ends), torch.maximum(*ends)
    for _ in range(rounds):
        middle = (low + high) / 2
        positions.move_to(sign * middle)
        ratios = under_test.measure("soft", "train", count).pairs.keep_ratios.to(middle.device)
        low = torch.where(ratios <= keep, middle, low)
        high = torch.where(ratios > keep, middle, high)
    positions.move_to(sign * low)


def shift_to_keep(under_test: ModelUnderTest, keep: float, count: int) -> float:
    """Shift all positions by one amount, such that just the share ``keep`` is kept on training items; returns it."""
    _check_keep(keep)
    return _shift(under_test, lambda: math.log(max(under_test.keep_ratio(count), 1e-9)), math.log(keep))


def shift_to_increase(under_test: ModelUnderTest, increase: float, count: int) -> float:
    """Shift all positions by one amount, such that the task's figure on ``count`` training items is ``increase`` worse
    than dense int8: perplexity above it, or accuracy below it. Judged with the integer attention."""
    if not increase > 0:
        raise LatteError(f"the increase must be above 0, not {increase:g}")
    dense = under_test.measure("dense_int8", "train", count).value
    better = -1 if under_test.task.figure == "perplexity" else 1
    return _shift(
        under_test,
        lambda: better * (under_test.measure("integer", "train", count).value - dense),
        -increase,
        below=False,
    )


def _shift(under_test: ModelUnderTest, measure: Callable[[], float], goal: float, *, below: bool = True) -> float:
    """Shift such that ``measure``, which grows with what is kept, comes closest to ``goal`` from below, or above."""
    positions, sign = Positions(under_test.runtime.thresholds), _sign(under_test)
    start = positions.parameter.detach().clone()

    def measured(shift: float) -> float:
        positions.move_to(start + sign * shift)
        return measure()

    found = reach(measured, goal, below=below)
    positions.move_to(start + sign * found)
    return found


def reach(
    function: Callable[[float], float], goal: float, *, below: bool = True, tolerance: float = 5e-4, calls: int = 24
) -> float:
    """An x at which a growing function is at most ``goal`` (or at least, without ``below``), and less than the share
    ``tolerance`` from it.

    First steps away from 0 that double bracket the goal, then false position (the Illinois variant, which never sticks
    to one end) closes in. What is reached after so many calls, or at the end of the function's range, has to do.
    """
    x, value = 0.0, function(0.0)
    ends: dict[bool, tuple[float, float]] = {value <= goal: (x, value)}  # True: the lower end, False: the upper one
    step = FIRST_STEP
    for _ in range(calls):
        if len(ends) < 2:
            x = step if True in ends else -step
            step *= 2
            if abs(x) > FARTHEST:
                break
        else:
            (low, at_low), (high, at_high) = ends[True], ends[False]
            if abs((at_low if below else at_high) - goal) <= tolerance * abs(goal) or high - low < 1e-6:
                break
            x = low + (high - low) * min(0.95, max(0.05, (goal - at_low) / (at_high - at_low)))
        last, value = value <= goal, function(x)
        lower = value <= goal
        if len(ends) == 2 and lower == last:  # the same end moves again: the other one counts half
            other_x, other = ends[not lower]
            ends[not lower] = (other_x, goal + (other - goal) / 2)
        ends[lower] = (x, value)
    return ends[below if below in ends else not below][0]


def _sign(under_test: ModelUnderTest) -> int:
    """1 when a greater threshold keeps more, -1 when it keeps less."""
    return -1 if under_test.runtime.config.rule is Rule.STATIC else 1


def _range(under_test: ModelUnderTest) -> tuple[float, float]:
    return (-LARGEST_TAU if under_test.runtime.thresholds.signed else 0.0), LARGEST_TAU


def _check_keep(keep: float) -> None:
    if not 0 < keep <= 1:
        raise LatteError(f"the keep ratio must be above 0 and at most 1, not {keep:g}")
