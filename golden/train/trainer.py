"""Trains thresholds: the backbone is frozen, every step moves the thresholds alone.

A step: the teacher answers (the same model, dense int8), the pruned model answers (hard mask forward, sigmoid
backward), the loss of :mod:`golden.train.loss` goes back to the thresholds, Adam moves their positions
(:mod:`golden.train.positions`), and the weight of the keep ratio adapts (:class:`golden.train.schedule.Multiplier`).
The result is the average over the last steps. Nothing random happens within a step, and the items of a step follow from
its number, so a run that goes on from a checkpoint ends like one that was never interrupted.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from golden.train import checkpoint
from golden.train.loss import divergence
from golden.train.model import ModelUnderTest
from golden.train.positions import Positions
from golden.train.schedule import Multiplier, Plan
from golden.train.task import shuffled
from golden.train.workers import Workers
from latte_hw.config.errors import LatteError

CHECKPOINT_EVERY = 25
"""Steps between two checkpoints."""

BALANCE_STEPS = 2
"""Batches from which the first weight of the keep ratio is found."""


@dataclass(frozen=True)
class Progress:
    """A step, reported as it ends. Means over all processes."""

    step: int  # from 1
    steps: int
    keep: float  # hard keep ratio, over valid pairs
    soft_keep: float
    kl: float  # nats per answer
    task: float  # nats, 0 when it has no weight
    multiplier: float
    lr: float
    seconds_left: float

    def line(self) -> str:
        """The step in a line to read."""
        minutes, seconds = divmod(round(self.seconds_left), 60)
        return (
            f"step {self.step}/{self.steps}: keeps {self.keep:.2%}, KL {self.kl:.4f}, "
            f"multiplier {self.multiplier:.4g}, lr {self.lr:.4f}, {minutes}:{seconds:02d} left"
        )


@dataclass
class Trained:
    """What a run leaves behind; the thresholds themselves are in the runtime of the model under test."""

    history: list[dict[str, float]] = field(default_factory=list)  # every step, without times
    seconds: float = 0.0  # all parts of an interrupted run together
    resumed_at: int = 0


class Trainer:
    """One training run of a model's thresholds.

    Args:
        under_test: its runtime's thresholds are where training starts, and hold the result in the end.
        plan: how it goes.
        workers: this process among its equals.
        saved: checkpoint file; when it exists, the run goes on from there.
        say: called with the progress after every step.
        start: what the thresholds come from, in words; a checkpoint goes on only from the same.

    Raises :class:`LatteError` on a batch that the processes cannot share, a checkpoint of another run, and a loss that
    is not finite.
    """

    def __init__(
        self,
        under_test: ModelUnderTest,
        plan: Plan,
        workers: Workers,
        saved: Path | None = None,
        say: Callable[[Progress], None] = lambda _: None,
        start: str = "",
    ) -> None:
        if plan.batch % workers.count:
            raise LatteError(f"batch must be a multiple of the {workers.count} processes, not {plan.batch}")
        if plan.steps and not under_test.task.count("train"):
            raise LatteError("there is nothing to train on")
        self._under_test, self._plan, self._workers, self._saved, self._say = under_test, plan, workers, saved, say
        self._positions = Positions(under_test.runtime.thresholds)
        self._adam = torch.optim.Adam([self._positions.parameter], lr=plan.lr, betas=(0.9, 0.98))
        self._identity = checkpoint.identity(under_test, plan, start)
        self._multiplier = Multiplier(plan.alpha or 0.0, plan.keep)
        self._step = 0
        self._sum = torch.zeros_like(self._positions.parameter)
        self._summed = 0
        self._trained = Trained()

    def run(self, stop_after: int | None = None) -> Trained:
        """Train to the end, or until ``stop_after`` steps are done, as an interruption would have it."""
        self._resume()
        self._under_test.runtime.kappa = self._plan.kappa
        if self._step == 0 and self._plan.keep is not None and self._plan.steps:
            self._multiplier = Multiplier(self._balance(), self._plan.keep)
        before, started = self._trained.seconds, time.monotonic()
        while self._step < self._plan.steps and (stop_after is None or self._step < stop_after):
            done = self._take_step()
            self._trained.seconds = before + time.monotonic() - started
            here = self._step - self._trained.resumed_at
            left = (time.monotonic() - started) / here * (self._plan.steps - self._step)
            self._trained.history.append({name: round(value, 6) for name, value in done.items()})
            if self._step % CHECKPOINT_EVERY == 0 or self._step == self._plan.steps:
                self._save()
            if self._workers.first:
                self._say(Progress(self._step, self._plan.steps, **done, seconds_left=left))
        if self._step == self._plan.steps and self._summed:
            self._positions.move_to(self._sum / self._summed)
        return self._trained

    def _take_step(self) -> dict[str, float]:
        plan, runtime = self._plan, self._under_test.runtime
        runtime.kappa = plan.kappa_at(self._step)
        lr = plan.lr_at(self._step)
        for group in self._adam.param_groups:
            group["lr"] = lr
        multiplier = self._multiplier.value
        kl, task, keep = self._losses(self._step)
        loss = plan.kl_weight * kl + plan.task_weight * task + multiplier * keep
        loss.backward()
        self._positions.pull_gradient()
        gradient = self._positions.parameter.grad
        assert gradient is not None
        hard = runtime.statistics().keep_ratio
        numbers = torch.tensor([hard, *(float(x.detach()) for x in (keep, kl, task))], dtype=torch.float64)
        means = self._workers.mean(torch.cat([gradient.flatten().double(), numbers.to(gradient.device)]).float())
        gradient.copy_(means[: gradient.numel()].view_as(gradient))
        hard, soft, kl_mean, task_mean = means[gradient.numel() :].tolist()
        if not torch.isfinite(means).all():
            raise LatteError(f"training diverged at step {self._step + 1}: the loss is not finite")
        self._adam.step()
        self._positions.push()
        self._multiplier.see(hard)
        if plan.averages(self._step):
            self._sum += self._positions.parameter.detach()
            self._summed += 1
        self._step += 1
        return {
            "keep": hard,
            "soft_keep": soft,
            "kl": kl_mean,
            "task": task_mean,
            "multiplier": multiplier,
            "lr": lr,
        }

    def _losses(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """KL, task loss and soft keep ratio of this process's part of a step's batch."""
        under_test, plan = self._under_test, self._plan
        items = shuffled(under_test.task.count("train"), step, plan.batch, plan.seed)
        batch = under_test.load("train", self._workers.share(items))
        under_test.runtime.reset_statistics()
        with torch.no_grad():
            teacher = under_test.logits(batch, "dense_int8")
        student = under_test.logits(batch, "soft")
        kl = divergence(student, teacher)
        task = under_test.task.losses(student, batch.targets).mean() if plan.task_weight else torch.zeros_like(kl)
        return kl, task, under_test.runtime.soft_keep()

    def _balance(self) -> float:
        """The first weight of the keep ratio: heads with half of the kept pairs would grow under it, the others shrink.

        Under a constraint, every head's gradient of the other losses is the same multiple of its gradient of the keep
        ratio at the optimum; this is the median of those multiples at the start, each head counting by the latter.
        """
        others = torch.zeros_like(self._positions.parameter)
        keeps = torch.zeros_like(self._positions.parameter)
        raw = self._under_test.runtime.thresholds.raw
        for step in range(BALANCE_STEPS):
            kl, task, keep = self._losses(step)
            other = self._plan.kl_weight * kl + self._plan.task_weight * task
            other.backward(retain_graph=True)
            others += self._positions.chain(raw.grad)
            raw.grad = None
            # The others take part with weight 0: a checkpoint keeps what it computes again for nodes that never run.
            (keep + 0.0 * other).backward()
            keeps += self._positions.chain(raw.grad)
            raw.grad = None
        others, keeps = self._workers.mean(others), self._workers.mean(keeps)
        weight = keeps.abs()  # keeps is negative where a greater threshold keeps less (the `static` rule)
        return weighted_median(-others * keeps.sign() / weight.clamp(min=1e-12), weight)

    def _save(self) -> None:
        if self._saved is None or not self._workers.first:
            return
        state = {
            "step": self._step,
            "positions": self._positions.parameter.detach().cpu(),
            "adam": self._adam.state_dict(),
            "multiplier": self._multiplier.state,
            "sum": self._sum.cpu(),
            "summed": self._summed,
            "history": self._trained.history,
            "seconds": self._trained.seconds,
        }
        checkpoint.save(self._saved, self._identity, state)

    def _resume(self) -> None:
        state = None if self._saved is None else checkpoint.load(self._saved, self._identity)
        if state is None:
            return
        self._positions.move_to(state["positions"].to(self._positions.parameter.device))
        self._adam.load_state_dict(state["adam"])
        self._multiplier.state = state["multiplier"]
        self._sum, self._summed = state["sum"].to(self._sum.device), state["summed"]
        self._trained = Trained(state["history"], state["seconds"], state["step"])
        self._step = state["step"]


def weighted_median(values: torch.Tensor, weights: torch.Tensor) -> float:
    """The least value at or below which half of the weights lie, of both flattened; never below 0."""
    order = values.flatten().argsort()
    total = weights.flatten().abs()[order].double().cumsum(0)
    index = int((total < total[-1] / 2).sum())
    return max(0.0, float(values.flatten()[order][min(index, len(order) - 1)]))


def summary(trained: Trained, samples: int = 40) -> dict[str, Any]:
    """A training run in plain values, its history thinned to about ``samples`` steps."""
    every = max(1, len(trained.history) // samples)
    rows = [{"step": i + 1, **row} for i, row in enumerate(trained.history)]
    return {
        "seconds": round(trained.seconds, 1),
        "history": [row for i, row in enumerate(rows) if i % every == 0 or i == len(rows) - 1],
    }
