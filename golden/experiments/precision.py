"""Precision of the estimate at equal pruned shares: bits, split, and one round or two (the paper's open question 1).

* ``uniform``: one threshold for all heads, estimates from 2, 3, 4, 6 and 8 bits, for both splits;
* ``trained``: thresholds trained for 4 bits (or for those bits, where a --thresholds file fits), shifted together;
* ``mean``: MP-MRF's threshold between a row's mean and its greatest estimate, in one round of 4 bits, and in its two
  rounds of 4×2 and 4×4 bits: with the same parameter in both, and with the plain mean in the first.

Scores of kept keys are the same 8-bit scores throughout: only what decides is changed.
"""

from collections.abc import Callable
from typing import Any

from golden.experiments.context import CONDITIONING, Context
from golden.experiments.matching import match, rule_family, shifted_family, uniform_family
from golden.experiments.peer_rules import DENSE, MeanFilter
from golden.experiments.rows import Costs, equality, row
from golden.nn.rules import KeepRule
from golden.train.model import ModelUnderTest
from latte_hw.config import Split

BITS = (2, 3, 4, 6, 8)
ONE_ROUND = ((4, 4),)

MEANS: dict[str, Callable[[float], MeanFilter]] = {
    "one_round": lambda x: MeanFilter((-x,), ONE_ROUND),
    "two_rounds": lambda x: MeanFilter((-x, -x)),
    "two_rounds_mean_first": lambda x: MeanFilter((0.0, -x)),
}
"""Mean filters by the negative of their parameter: a greater number keeps more."""


def run(context: Context) -> dict[str, Any]:
    sizes, keep = context.sizes, context.job.keep
    dense = context.dense()
    bits_tried = (2, 4, 8) if context.job.quick else BITS
    trained = {bits: context.trained(bits=_asked(bits) if context.has_file(_asked(bits)) else None)
               for bits in (2, 4, 8)}  # fmt: skip
    context.settings = {"trained": {str(bits): one.origin for bits, one in trained.items()},
                        "calibration_windows": sizes.calibration, "mode": "hard mask, float32 softmax"}  # fmt: skip
    rows: list[dict[str, Any]] = []
    results = {"dense_int8": dense.value, "keep": keep, "rows": rows}

    def add(under_test: ModelUnderTest, family: Any, costs: Costs, **names: Any) -> None:
        matched = match(under_test, family, keep, sizes.calibration, sizes.held_out)
        rows.append(row(matched, costs_of(under_test.runtime.rule, costs), dense, **names))
        context.say(f"  {' '.join(map(str, names.values()))}: {matched.held_out.value:.3f}")
        context.keep_partial(results)

    for split, names in ((Split.BALANCED, CONDITIONING), (Split.TRUNCATE, ())):
        config = context.config(split=split)
        for bits in bits_tried if split is Split.BALANCED else (2, 4, 8):
            under_test = context.under_test(config=config, conditioning=names, estimate_bits=bits)
            add(under_test, uniform_family(under_test), Costs.exact(bits), rule="uniform", bits=bits, split=str(split))
    for bits, one in trained.items():
        under_test = context.under_test(estimate_bits=bits)
        family = shifted_family(under_test, one.tau)
        add(under_test, family, Costs.exact(bits), rule="trained", bits=bits, split=str(Split.BALANCED))
    for name, make in MEANS.items():
        under_test = context.under_test()
        family = rule_family(under_test, make, -0.3, 0.1)
        add(under_test, family, Costs.plain(0, 0), rule=f"mean, {name}", bits=4, split=str(Split.BALANCED))
    results["equality"] = equality(rows)
    return results


def _asked(bits: int) -> int | None:
    """As thresholds files say it: None is the configured number of bits."""
    return None if bits == 4 else bits


def costs_of(rule: KeepRule | None, otherwise: Costs) -> Costs:
    """Costs of a rule after it has judged the held-out items; of LATTE's own rule, ``otherwise``."""
    if isinstance(rule, MeanFilter):
        second = rule.pairs()[1] if len(rule.rounds) > 1 else 0
        every = 8 if len(rule.rounds) > 1 else 16
        formula = f"{every}·valid + {'8·left by round 1 + ' if second else ''}{2 * DENSE}·kept"
        return Costs(every, 2 * DENSE, formula, lambda: 8 * second)
    if rule is not None and hasattr(rule, "costs"):
        return Costs.plain(*rule.costs)
    return otherwise
