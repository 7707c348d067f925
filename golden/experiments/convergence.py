"""Cost and convergence of training, against thresholds that are calibrated only (the paper's open question 2).

One run of the trainer is stopped at some steps; the thresholds of that moment (at the end: averaged over the last
quarter of the steps) are brought to the wanted share and judged on held-out windows. Step 0 is where training starts:
one threshold for all, calibrated. Head-wise calibrated thresholds, which cost no gradient, are judged beside it.
Seconds are of the training alone.
"""

import time
from typing import Any

import torch

from golden.experiments.context import LR, Context
from golden.experiments.matching import match, shifted_family
from golden.experiments.rows import Costs, row
from golden.train import calibrate
from golden.train.model import Subject
from golden.train.trainer import Trainer, summary
from golden.train.workers import Workers


def run(context: Context) -> dict[str, Any]:
    sizes, keep = context.sizes, context.job.keep
    subject = context.subject()
    dense = context.dense(subject)
    costs = Costs.of(subject.runtime.config)
    results: dict[str, Any] = {"dense_int8": dense.value, "keep": keep, "rows": []}

    def judge(**names: Any) -> None:
        """Judge the thresholds as they are, at the wanted share; they are put back afterwards."""
        before, kappa = subject.runtime.thresholds.values(), subject.runtime.kappa
        matched = match(subject, shifted_family(subject, before), keep, sizes.calibration, sizes.held_out)
        subject.runtime.thresholds.load(before.to(subject.device))
        subject.runtime.kappa = kappa
        results["rows"].append(row(matched, costs, dense, **names))
        context.say(f"  {names}: {matched.held_out.value:.3f}")
        context.keep_partial(results)

    started = time.monotonic()
    calibrate.head_wise(subject, keep, sizes.calibration, rounds=12)
    judge(method="head_wise", step=0, seconds=round(time.monotonic() - started, 2))
    started = time.monotonic()
    context.start_uniform(subject)
    calibration = round(time.monotonic() - started, 2)
    steps = sizes.judged_steps[-1]
    trainer = Trainer(subject, context.plan(steps, LR, sizes.batch), Workers(context.job.device),
                      say=context.progress)  # fmt: skip
    _reset_peak(subject)
    for step in sizes.judged_steps:
        trained = trainer.run(stop_after=step)
        judge(method="trained", step=step, seconds=round(trained.seconds, 2))
    context.settings = {
        "plan": context.plan(steps, LR, sizes.batch).describe(),
        "calibration_windows": sizes.calibration,
        "calibration_seconds": calibration,
        "mode": "hard mask, float32 softmax",
    }
    results["training"] = {
        **summary(trained, samples=75),
        "seconds_per_step": round(trained.seconds / max(1, steps), 4),
        "peak_gpu_gib": _peak(subject),
        "parameters": subject.runtime.thresholds.raw.numel(),
    }
    return results


def _reset_peak(subject: Subject) -> None:
    if subject.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(subject.device)


def _peak(subject: Subject) -> float | None:
    if subject.device.type != "cuda":
        return None
    return round(torch.cuda.max_memory_allocated(subject.device) / 2**30, 2)
