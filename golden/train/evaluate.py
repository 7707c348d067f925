"""Judges thresholds on held-out items: float, dense int8 and LATTE side by side, and what pruning saves."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from golden.analysis.metrics import bit_operations
from golden.nn.backend import Statistics, attach
from golden.nn.runtime import LatteRuntime
from golden.train.interval import paired_interval
from golden.train.model import Measured, ModelUnderTest
from latte_hw.config.thresholds import ThresholdsFile
from latte_hw.params import HeadParams

LATTE_MODES = {"latte": "integer", "latte_exact_softmax": "soft"}
"""`latte` is the hardware bit for bit; `latte_exact_softmax` prunes alike, with a float32 softmax and output."""


def evaluate(
    under_test: ModelUnderTest, items: int, modes: Sequence[str] = ("float", "dense_int8", "latte")
) -> dict[str, Any]:
    """Every mode on the first ``items`` held-out items, in plain values.

    By mode: the task's figure and the mean loss; per item the loss. For pruned modes also the change against
    dense int8 with its interval over items, the pruned share of valid pairs, bit operations, and a table of heads.
    """
    figure = under_test.task.figure
    results: dict[str, Any] = {"figure": figure, "items": items, "task": under_test.task.describe(), "modes": {}}
    dense: Measured | None = None
    for mode in modes:
        measured = under_test.measure(LATTE_MODES.get(mode, mode), "held_out", items)  # type: ignore[arg-type]
        row: dict[str, Any] = {
            figure: measured.value,
            "loss": float(measured.outcome["loss"].mean()),
            "loss_per_item": _rounded(measured.outcome["loss"]),
        }
        if mode == "dense_int8":
            dense = measured
        if mode in LATTE_MODES:
            if dense is not None:
                row["change"] = measured.value - dense.value
                row["loss_change"] = paired_interval(measured.outcome["loss"], dense.outcome["loss"])
            row |= pruning(measured.pairs, under_test.runtime)
        results["modes"][mode] = row
    return results


def pruning(pairs: Statistics, runtime: LatteRuntime) -> dict[str, Any]:
    """Pruned share, bit operations with their formula, and a table of heads, of counted pairs."""
    valid, kept = int(pairs.valid.sum()), int(pairs.kept.sum())
    operations = bit_operations(valid, kept, HeadParams(runtime.config))
    return {
        "valid_pairs": valid,
        "kept_pairs": kept,
        "pruned": 1 - pairs.keep_ratio,
        "bit_operation_change": operations.change,
        "bit_operation_formula": operations.formula,
        "tau": [[round(x, 4) for x in row] for row in runtime.thresholds.values().tolist()],
        "kept_per_head": [[round(x, 5) for x in row] for row in pairs.keep_ratios.tolist()],
    }


def compare(under_test: ModelUnderTest, others: dict[str, LatteRuntime], items: int, results: dict[str, Any]) -> None:
    """Judge other thresholds on the same items, and add them to ``results`` with the paired difference of losses.

    A positive difference says that the evaluated thresholds are better than the other ones.
    """
    own = np.array(results["modes"]["latte"]["loss_per_item"])
    mine = under_test.runtime
    for name, runtime in others.items():
        try:
            attach(under_test.model, runtime)
            runtime.thresholds.to(under_test.device)
            under_test.runtime = runtime
            measured = under_test.measure("integer", "held_out", items)
        finally:
            under_test.runtime = mine
            attach(under_test.model, mine)
        results.setdefault("against", {})[name] = {
            results["figure"]: measured.value,
            "loss_per_item": _rounded(measured.outcome["loss"]),
            "loss_difference": paired_interval(measured.outcome["loss"], own),
            **pruning(measured.pairs, runtime),
        }


def describe(results: dict[str, Any], file: ThresholdsFile | None) -> str:
    """Results of :func:`evaluate` in lines to read."""
    figure = results["figure"]
    lines = []
    if file is not None:
        conditioning = " + ".join(file.conditioning) or "none"
        lines.append(f"{file.model.name}: {results['items']} held-out items, scales {file.scales_rule}, "
                     f"conditioning {conditioning}")  # fmt: skip
    for mode, row in results["modes"].items():
        lines.append(f"  {mode:<20} {figure} {row[figure]:9.4f}" + _pruned(row))
    for name, row in results.get("against", {}).items():
        difference = row["loss_difference"]
        lines.append(
            f"  against {name:<12} {figure} {row[figure]:9.4f}{_pruned(row)}; its loss is higher by "
            f"{difference['mean']:.5f} [{difference['low']:.5f}, {difference['high']:.5f}]"
        )
    if "bit_exact" in results:
        lines.append(f"  {results['bit_exact']['sentence']}")
    return "\n".join(lines)


def _pruned(row: dict[str, Any]) -> str:
    if "pruned" not in row:
        return ""
    change = f" ({row['change']:+.4f})" if "change" in row else ""
    return f"{change}, pruned {row['pruned']:.2%}, bit operations {row['bit_operation_change']:+.2%}"


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(x), 7) for x in values]
