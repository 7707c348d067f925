"""Global, head-wise fixed and head-wise trained thresholds, brought to equal pruned shares.

* ``global``: one threshold for every layer and head;
* ``head_wise``: every head's threshold calibrated to keep the wanted share of that head's own pairs, no training;
* ``trained``: every head's threshold trained, then all of them shifted together.

The trained ones come from a --thresholds file that fits, or are trained here. Differences are paired over windows.
"""

from typing import Any

import torch

from golden.experiments.context import Context
from golden.experiments.matching import Matched, match, shifted_family, uniform_family
from golden.experiments.rows import Costs, difference, equality, row
from golden.train import calibrate

FACTORS = (0.5, 1.0, 2.0)
"""Shares to compare at, as multiples of --keep."""


def run(context: Context) -> dict[str, Any]:
    sizes = context.sizes
    trained = context.trained()
    under_test = context.under_test()
    dense = context.dense(under_test)
    costs = Costs.of(under_test.runtime.config)
    context.settings = {"trained": trained.origin, "calibration_windows": sizes.calibration,
                        "mode": "hard mask, float32 softmax"}  # fmt: skip
    results: dict[str, Any] = {"dense_int8": dense.value, "keep": context.job.keep, "points": []}
    for factor in (1.0,) if context.job.quick else FACTORS:
        keep = min(1.0, factor * context.job.keep)
        found: dict[str, Matched] = {}
        taus: dict[str, list[list[float]]] = {}
        for method in ("global", "head_wise", "trained"):
            if method == "global":
                family = uniform_family(under_test)
            elif method == "head_wise":
                calibrate.head_wise(under_test, keep, sizes.calibration, rounds=12)
                family = shifted_family(under_test, under_test.runtime.thresholds.values())
            else:
                family = shifted_family(under_test, trained.tau)
            found[method] = match(under_test, family, keep, sizes.calibration, sizes.held_out)
            taus[method] = _rounded(under_test.runtime.thresholds.values())
            context.say(f"  keep {keep:.3f}, {method}: {found[method].held_out.value:.3f}")
        rows = [row(one, costs, dense, method=method) for method, one in found.items()]
        results["points"].append({
            "keep": keep,
            "rows": rows,
            "equality": equality(rows),
            "global_minus_trained": difference(found["global"].held_out, found["trained"].held_out),
            "head_wise_minus_trained": difference(found["head_wise"].held_out, found["trained"].held_out),
            "tau": taus,
            "kept_per_head": {method: _rounded(one.held_out.pairs.keep_ratios) for method, one in found.items()},
        })  # fmt: skip
        context.keep_partial(results)
    return results


def _rounded(values: torch.Tensor) -> list[list[float]]:
    """Values (layers, heads) with four digits after the point."""
    return [[round(x, 4) for x in layer] for layer in values.tolist()]
