"""What changes during training: learning rate, temperature of the soft mask, and the weight of the keep ratio."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from latte_hw.config.errors import LatteError


@dataclass(frozen=True)
class Plan:
    """Everything that decides how a training run goes, and with it its result; equal plans give equal runs.

    The weight of the keep ratio is either fixed (``alpha``) or adapted to reach ``keep``; exactly one is given.
    """

    steps: int = 300
    batch: int = 4  # items of a step, over all processes
    keep: float | None = None
    alpha: float | None = None
    kl_weight: float = 1.0
    task_weight: float = 0.0
    lr: float = 0.05  # of positions: relative change of a threshold in one step
    lr_end: float = 0.001
    warmup: int = 10  # steps in which the learning rate rises
    kappa: float = 0.5  # temperature of the soft mask in logits
    kappa_end: float = 0.25
    average: float = 0.25  # last share of the steps whose thresholds are averaged
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.keep is None) == (self.alpha is None):
            raise LatteError("give either a target keep ratio or a fixed weight of it (alpha), and not both")
        if self.keep is not None and not 0 < self.keep <= 1:
            raise LatteError(f"the keep ratio must be above 0 and at most 1, not {self.keep:g}")
        for name in ("lr", "lr_end", "kappa", "kappa_end"):
            if not getattr(self, name) > 0:
                raise LatteError(f"{name} must be above 0, not {getattr(self, name):g}")
        for name in ("steps", "warmup", "kl_weight", "task_weight", "average"):
            if not getattr(self, name) >= 0:
                raise LatteError(f"{name} must be 0 or more, not {getattr(self, name):g}")
        if self.batch < 1:
            raise LatteError(f"batch must be at least 1, not {self.batch}")

    def lr_at(self, step: int) -> float:
        """Learning rate of a step: a linear rise, then half a cosine down to ``lr_end``."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - 1 - self.warmup)
        return self.lr_end + (self.lr - self.lr_end) * (1 + math.cos(math.pi * min(1.0, progress))) / 2

    def kappa_at(self, step: int) -> float:
        """Temperature of a step: geometrically from ``kappa`` to ``kappa_end``."""
        return float(self.kappa * (self.kappa_end / self.kappa) ** (step / max(1, self.steps - 1)))

    def averages(self, step: int) -> bool:
        """Whether the thresholds after a step count in the average."""
        return step >= self.steps - max(1, round(self.average * self.steps))

    def describe(self) -> dict[str, Any]:
        return asdict(self)


class Multiplier:
    """Weight of the keep ratio in the loss.

    With a target, its logarithm is the sum of what kept too much so far (``GAIN`` times the logarithm of kept over
    target), plus ``DAMPING`` times the smoothed last such values, so that it does not swing. Without, it stays.
    """

    GAIN = 0.15
    DAMPING = 6.0
    MEMORY = 0.8
    SPAN = 3.0  # the logarithm stays this close to where it started: what cannot be reached does not wind it up

    def __init__(self, start: float, target: float | None) -> None:
        if not start >= 0:
            raise LatteError(f"the weight of the keep ratio must be 0 or more, not {start:g}")
        self._target = target
        first = math.log(max(start, 1e-6))
        self.state = {"first": first, "log": first, "recent": 0.0}
        self._fixed = start

    @property
    def value(self) -> float:
        if self._target is None:
            return self._fixed
        return math.exp(self.state["log"] + self.DAMPING * self.state["recent"])

    def see(self, keep: float) -> None:
        """Adapt to the keep ratio of a step."""
        if self._target is None:
            return
        excess = max(-1.0, min(1.0, math.log(max(keep, 1e-6) / self._target)))
        low, high = self.state["first"] - self.SPAN, self.state["first"] + self.SPAN
        self.state["log"] = min(max(self.state["log"] + self.GAIN * excess, low), high)
        self.state["recent"] = self.MEMORY * self.state["recent"] + (1 - self.MEMORY) * excess
