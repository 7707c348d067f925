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
from golden.train.model import ModelUnderTest
from golden.train.trainer import Trainer, summary
from golden.train.workers import Workers


def run(context: Context) -> dict[str, Any]:
    sizes, keep = context.sizes, context.job.keep
    under_test = context.under_test()
    dense = context.dense(under_test)
    costs = Costs.of(under_test.runtime.config)
    results: dict[str, Any] = {"dense_int8": dense.value, "keep": keep, "rows": []}

    def judge(**names: Any) -> None:
        """Judge the thresholds as they are, at the wanted share; they are put back afterwards."""
        before, kappa = under_test.runtime.thresholds.values(), under_test.runtime.kappa
        matched = match(under_test, shifted_family(under_test, before), keep, sizes.calibration, sizes.held_out)
        under_test.runtime.thresholds.load(before.to(under_test.device))
        under_test.runtime.kappa = kappa
        results["rows"].append(row(matched, costs, dense, **names))
        context.say(f"  {names}: {matched.held_out.value:.3f}")
        context.keep_partial(results)

    started = time.monotonic()
    calibrate.head_wise(under_test, keep, sizes.calibration, rounds=12)
    judge(method="head_wise", step=0, seconds=round(time.monotonic() - started, 2))
    started = time.monotonic()
    context.start_uniform(under_test)
    calibration = round(time.monotonic() - started, 2)
    steps = sizes.judged_steps[-1]
    trainer = Trainer(under_test, context.plan(steps, LR, sizes.batch), Workers(context.job.device),
                      say=context.progress)  # fmt: skip
    _reset_peak(under_test)
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
        "peak_gpu_gib": _peak(under_test),
        "parameters": under_test.runtime.thresholds.raw.numel(),
    }
    return results


def _reset_peak(under_test: ModelUnderTest) -> None:
    if under_test.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(under_test.device)


def _peak(under_test: ModelUnderTest) -> float | None:
    if under_test.device.type != "cuda":
        return None
    return round(torch.cuda.max_memory_allocated(under_test.device) / 2**30, 2)
