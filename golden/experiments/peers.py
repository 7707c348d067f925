"""Rules of other work beside LATTE's, under the same quantisation, conditioning and scores, at equal pruned shares.

Without training: LATTE with one threshold, Sanger-like, MP-MRF. Trained: LATTE, LeOPArd-like, with the same trainer,
steps and loss (LATTE from one threshold, LeOPArd-like from head-wise calibrated ones, because one absolute threshold
for all heads is too poor a start to learn from). Oracles: the greatest exact scores of a row, as many for every query,
or the same share of its keys.
:mod:`golden.experiments.peer_rules` says what each rule reproduces.
"""

from typing import Any

from golden.experiments.context import Context
from golden.experiments.matching import Family, Matched, match, rule_family, shifted_family, uniform_family
from golden.experiments.peer_rules import EstimatedProbability, MeanFilter, TopK
from golden.experiments.precision import costs_of
from golden.experiments.rows import Costs, difference, equality, row
from golden.train.model import ModelUnderTest

METHODS = ("latte_uniform", "sanger", "mp_mrf", "latte_trained", "leopard", "top_k_share", "top_k_count")


def run(context: Context) -> dict[str, Any]:
    sizes, keep = context.sizes, context.job.keep
    dense = context.dense()
    latte, absolute = context.trained(), context.trained(absolute=True)
    context.settings = {"latte_trained": latte.origin, "leopard": absolute.origin, "mode": "hard mask, float32 softmax",
                        "calibration_windows": sizes.calibration}  # fmt: skip
    rows: list[dict[str, Any]] = []
    results: dict[str, Any] = {"dense_int8": dense.value, "keep": keep, "rows": rows}
    found: dict[str, Matched] = {}
    for method in METHODS:
        under_test = _under_test(context, method)
        family = _family(under_test, method, latte.tau if method.startswith("latte") else absolute.tau, keep)
        found[method] = match(under_test, family, keep, sizes.calibration, sizes.held_out)
        costs = costs_of(under_test.runtime.rule, Costs.of(under_test.runtime.config))
        rows.append(row(found[method], costs, dense, method=method))
        context.say(f"  {method}: {found[method].held_out.value:.3f}")
        context.keep_partial(results)
    results["minus_latte_trained"] = {
        method: difference(one.held_out, found["latte_trained"].held_out)
        for method, one in found.items()
        if method != "latte_trained"
    }
    results["equality"] = equality(rows)
    return results


def _under_test(context: Context, method: str) -> ModelUnderTest:
    if method == "sanger":
        return context.under_test(rule=EstimatedProbability())
    if method == "leopard":
        return context.absolute_under_test()
    return context.under_test()


def _family(under_test: ModelUnderTest, method: str, tau: Any, keep: float) -> Family:
    """What brings a method to a share."""
    if method in ("latte_trained", "leopard"):
        return shifted_family(under_test, tau)
    if method == "mp_mrf":
        return rule_family(under_test, lambda x: MeanFilter((-x, -x)), -0.3, 0.1)
    if method == "top_k_share":
        return rule_family(under_test, lambda x: TopK(share=max(0.0, x)), keep, keep / 20)
    if method == "top_k_count":
        length = under_test.load("train", [0]).inputs["input_ids"].shape[1]
        return rule_family(under_test, lambda x: TopK(count=max(0.0, x)), keep * length / 2, keep * length / 20)
    return uniform_family(under_test)
