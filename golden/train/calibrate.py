"""Thresholds and stored scales from training items, without gradients; nothing held out is looked at.

A threshold's *position* is where it lies on the axis along which steps mean the same everywhere (see
:mod:`golden.train.positions`); one common shift of all positions moves a whole set of thresholds along its trade-off.
"""

from collections.abc import Callable

import numpy as np
import torch

from golden.nn.condition import condition, window_mean
from golden.nn.plug import LayerCall
from golden.nn.quantize import head_scales
from golden.train.positions import Positions
from golden.train.subject import Subject
from golden.train.task import batches
from golden.train.thresholds_file import StaticArrays
from latte_hw.config import Rule
from latte_hw.errors import LatteError
from latte_hw.params import HeadParams

LARGEST_TAU = 64.0
"""Logits within which calibrated thresholds are looked for: a key at that distance weighs less than 1e-27."""


def static_scales(subject: Subject, count: int, quantile: float = 1.0) -> StaticArrays:
    """Scales and K means for `static` calibration, from the first ``count`` training items with dense attention.

    The step of a head is a quantile, over the items, of the steps that `window` calibration would take; 1 takes the
    greatest, less lets a few rare values saturate and keeps the steps finer. Means are over all tokens.
    """
    if not 0 < quantile <= 1:
        raise LatteError(f"the quantile of static scales must be above 0 and at most 1, not {quantile:g}")
    runtime = subject.runtime
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
        steps.setdefault(call.layer, []).append(tuple(head_scales(x, params) for x in (q, k, call.v)))

    before = runtime.watch
    try:
        for watch in (sum_means, take_steps) if smooth else (take_steps,):
            runtime.watch = watch
            _run_float(subject, count)
    finally:
        runtime.watch = before

    def picked(which: int) -> np.ndarray:
        rows = [torch.cat([one[which] for one in steps[layer]]) for layer in sorted(steps)]
        return torch.stack([torch.quantile(row, quantile, dim=0) for row in rows]).float().cpu().numpy()

    k_mean = None
    if smooth:
        k_mean = torch.stack([means[layer] / count for layer in sorted(means)]).float().cpu().numpy()
    return StaticArrays(q=picked(0), k=picked(1), v=picked(2), k_mean=k_mean)


def _run_float(subject: Subject, count: int) -> None:
    with torch.no_grad():
        for items in batches(count, subject.batch):
            subject.logits(subject.load("train", items), "float")


def uniform(subject: Subject, keep: float, count: int) -> float:
    """Set every threshold to the same value, such that the share ``keep`` of all valid pairs is kept; returns it."""
    _check_keep(keep)
    positions = Positions(subject.runtime.thresholds)
    low, high = (positions.of_tau(x) for x in _range(subject))

    def kept(position: float) -> float:
        positions.move_to(torch.full_like(positions.parameter, position))
        return subject.keep_ratio(count)

    found = greatest_below(_oriented(kept, subject), keep, *_ordered(low, high, subject))
    positions.move_to(torch.full_like(positions.parameter, _sign(subject) * found))
    return float(subject.runtime.thresholds.values()[0, 0])


def head_wise(subject: Subject, keep: float, count: int, rounds: int = 14) -> None:
    """Set every head's threshold such that the share ``keep`` of its own valid pairs is kept.

    All heads are bisected side by side, ``rounds`` passes over ``count`` training items. A head that keeps more even
    at 0 (ties for the best) stays there.
    """
    _check_keep(keep)
    positions = Positions(subject.runtime.thresholds)
    sign = _sign(subject)
    ends = [torch.full_like(positions.parameter.data, sign * positions.of_tau(x)) for x in _range(subject)]
    low, high = torch.minimum(*ends), torch.maximum(*ends)
    for _ in range(rounds):
        middle = (low + high) / 2
        positions.move_to(sign * middle)
        ratios = subject.measure("soft", "train", count).pairs.keep_ratios.to(middle.device)
        low = torch.where(ratios <= keep, middle, low)
        high = torch.where(ratios > keep, middle, high)
    positions.move_to(sign * low)


def shift_to_keep(subject: Subject, keep: float, count: int) -> float:
    """Shift all positions by one amount, such that just the share ``keep`` is kept on training items; returns it."""
    _check_keep(keep)
    return _shift(subject, lambda: subject.keep_ratio(count), keep)


def shift_to_increase(subject: Subject, increase: float, count: int) -> float:
    """Shift all positions by one amount, such that the task's figure on ``count`` training items is ``increase`` worse
    than dense int8: perplexity above it, or accuracy below it. Judged with the integer attention."""
    if not increase > 0:
        raise LatteError(f"the increase must be above 0, not {increase:g}")
    dense = subject.measure("dense_int8", "train", count).value
    worse = -1 if subject.task.figure == "perplexity" else 1  # what keeps more is less worse

    def better_by() -> float:
        return worse * (subject.measure("integer", "train", count).value - dense)

    return _shift(subject, better_by, -increase, below=False)


def _shift(subject: Subject, measure: Callable[[], float], goal: float, *, below: bool = True) -> float:
    """Shift such that ``measure``, which grows with what is kept, comes to ``goal`` from below, or from above."""
    positions, sign = Positions(subject.runtime.thresholds), _sign(subject)
    start = positions.parameter.detach().clone()

    def measured(shift: float) -> float:
        positions.move_to(start + sign * shift)
        return measure()

    width = 0.1
    while width < 6.4 and measured(-width) > goal:
        width *= 2
    low = -width
    width = 0.1
    while width < 6.4 and measured(width) < goal:
        width *= 2
    if below:
        found = greatest_below(measured, goal, low, width)
    else:
        found = -greatest_below(lambda shift: -measured(-shift), -goal, -width, -low)
    positions.move_to(start + sign * found)
    return found


def greatest_below(function: Callable[[float], float], goal: float, low: float, high: float, rounds: int = 12) -> float:
    """About the greatest x in [low, high] at which a growing function is at most ``goal``; ``low`` if it never is."""
    for _ in range(rounds):
        middle = (low + high) / 2
        if function(middle) <= goal:
            low = middle
        else:
            high = middle
    return low


def _sign(subject: Subject) -> int:
    """1 when a greater threshold keeps more, -1 when it keeps less."""
    return -1 if subject.runtime.config.rule is Rule.STATIC else 1


def _range(subject: Subject) -> tuple[float, float]:
    return (-LARGEST_TAU if subject.runtime.thresholds.signed else 0.0), LARGEST_TAU


def _ordered(low: float, high: float, subject: Subject) -> tuple[float, float]:
    ends = (_sign(subject) * low, _sign(subject) * high)
    return min(ends), max(ends)


def _oriented(function: Callable[[float], float], subject: Subject) -> Callable[[float], float]:
    sign = _sign(subject)
    return lambda x: function(sign * x)


def _check_keep(keep: float) -> None:
    if not 0 < keep <= 1:
        raise LatteError(f"the keep ratio must be above 0 and at most 1, not {keep:g}")
