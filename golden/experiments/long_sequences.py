"""Long sequences: thresholds trained on short windows, carried over and retrained (the paper's open question 3).

At every length, on held-out windows of that length:

* ``carried``: as they were trained, whatever share they keep there;
* ``carried_shifted``: shifted together to the wanted share;
* ``retrained``: trained on at this length from there, then shifted to the wanted share;
* ``uniform``: one threshold for all heads at the wanted share.
"""

from typing import Any

from golden.experiments.context import Context
from golden.experiments.matching import match, shifted_family, uniform_family
from golden.experiments.rows import Costs, equality, judged, row
from golden.experiments.sizes import Length


def run(context: Context) -> dict[str, Any]:
    short = context.trained()
    context.settings = {
        "trained": short.origin,
        "trained_window": context.sizes.window,
        "lengths": [vars(length) for length in context.sizes.lengths],
        "mode": "hard mask, float32 softmax",
    }
    results: dict[str, Any] = {"keep": context.job.keep, "lengths": []}
    for length in context.sizes.lengths:
        context.say(f"  {length.tokens} tokens")
        found: dict[str, Any] = {"tokens": length.tokens, "rows": []}
        results["lengths"].append(found)
        _measure(context, length, short.tau, found, lambda: context.keep_partial(results))
    return results


def _measure(context: Context, length: Length, tau: Any, found: dict[str, Any], keep_partial: Any) -> None:
    keep, rows = context.job.keep, found["rows"]
    under_test = context.under_test(window=length.tokens, held_out=length.held_out, batch=1)
    costs = Costs.of(under_test.runtime.config)
    dense = under_test.measure("dense_int8", "held_out", length.held_out)
    found["dense_int8"] = judged(dense, None, None)
    family = shifted_family(under_test, tau)
    rows.append({"method": "carried", **judged(under_test.measure("soft", "held_out", length.held_out), costs, dense)})
    keep_partial()
    for method in ("carried_shifted", "retrained", "uniform"):
        if method == "retrained":
            trained = context.train(under_test, length.steps, lr=0.02)
            found["retraining"] = {"steps": length.steps, "seconds": round(trained.seconds, 1),
                                   "start": "carried, shifted"}  # fmt: skip
            family = shifted_family(under_test, under_test.runtime.thresholds.values())
        elif method == "uniform":
            family = uniform_family(under_test)
        matched = match(under_test, family, keep, length.calibration, length.held_out)
        rows.append(row(matched, costs, dense, method=method))
        context.say(f"    {method}: {matched.held_out.value:.3f}, dense int8 {dense.value:.3f}")
        keep_partial()
    found["equality"] = equality(rows[1:])
