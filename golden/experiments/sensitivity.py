"""Sensitivity: one threshold for every head is swept, and the pruned share is held against the figure.

Two estimates are swept: ours (balanced split, smooth_k and rotate), and the paper's (truncation, no conditioning).
A third curve shifts trained thresholds, where a --thresholds file fits. Each curve has dense int8 attention at its end.
"""

from typing import Any

import torch

from golden.experiments.context import CONDITIONING, Context
from golden.experiments.matching import Family, shifted_family
from golden.experiments.rows import Costs, judged
from golden.train.model import Measured, ModelUnderTest
from latte_hw.config import Split

TAUS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 16.0)
"""Thresholds in logits."""

SHIFTS = (-0.6, -0.4, -0.25, -0.1, 0.0, 0.1, 0.25, 0.4)
"""Common shifts of trained thresholds: a threshold changes by about that share of itself."""


def run(context: Context) -> dict[str, Any]:
    sizes = context.sizes
    every = 4 if context.job.quick else 1
    taus, shifts = list(TAUS[::every]), list(SHIFTS[::every])
    trained = context.trained() if context.has_file(None) else None
    context.settings = {
        "taus": taus,
        "shifts": shifts if trained else None,
        "trained": trained.origin if trained else None,
        "mode": "hard mask, float32 softmax",
    }
    results: dict[str, Any] = {"curves": {}}
    for name, split, conditioning in (("balanced", Split.BALANCED, CONDITIONING), ("truncate", Split.TRUNCATE, ())):
        under_test = context.under_test(config=context.config(split=split), conditioning=conditioning)
        dense = under_test.measure("dense_int8", "held_out", sizes.held_out)
        if name == "balanced":
            results["float"] = judged(under_test.measure("float", "held_out", sizes.held_out), None, None)
        context.say(f"  {name}: dense int8 {dense.value:.3f}")
        rows = [_swept(under_test, tau, sizes.held_out, dense) for tau in taus]
        results["curves"][name] = {
            "split": str(split), "conditioning": list(conditioning), "dense_int8": judged(dense, None, None),
            "rows": rows,
        }  # fmt: skip
        context.keep_partial(results)
    if trained is not None:
        under_test = context.under_test()
        dense = under_test.measure("dense_int8", "held_out", sizes.held_out)
        family = shifted_family(under_test, trained.tau)
        rows = [_shifted(under_test, family, shift, sizes.held_out, dense) for shift in shifts]
        results["curves"]["trained"] = {
            "split": str(Split.BALANCED), "conditioning": list(CONDITIONING), "dense_int8": judged(dense, None, None),
            "rows": rows,
        }  # fmt: skip
    return results


def _swept(under_test: ModelUnderTest, tau: float, items: int, dense: Measured) -> dict[str, Any]:
    thresholds = under_test.runtime.thresholds
    thresholds.load(torch.full_like(thresholds.raw, tau))
    measured = under_test.measure("soft", "held_out", items)
    return {"tau": tau, **judged(measured, Costs.of(under_test.runtime.config), dense)}


def _shifted(under_test: ModelUnderTest, family: Family, shift: float, items: int, dense: Measured) -> dict[str, Any]:
    family.move(shift)
    measured = under_test.measure("soft", "held_out", items)
    return {"shift": shift, **judged(measured, Costs.of(under_test.runtime.config), dense)}
