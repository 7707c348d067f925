"""Precision: what more bits of the estimate bring, and the filters with mean-based thresholds."""

from typing import Any

from golden.experiments.figures.style import COLORS, columns, error_bars, label, markdown, plain_axes, spread_line

SIZE = (9.6, 4)
LINES = (
    ("uniform", "truncate", COLORS["paper"], "truncate, one threshold"),
    ("uniform", "balanced", COLORS["plain"], "balanced + smooth_k + rotate, one threshold"),
    ("trained", "balanced", COLORS["ours"], "the same, trained"),
)


def draw(content: dict[str, Any], figure: Any) -> None:
    curves, bars = figure.subplots(1, 2, width_ratios=[1.5, 1])
    rows = content["results"]["rows"]
    for rule, split, color, title in LINES:
        own = [row for row in rows if (row["rule"], row["split"]) == (rule, split)]
        curves.errorbar([row["bits"] for row in own], [row["change"] for row in own], error_bars(own), fmt="o-",
                        color=color, markersize=4, capsize=2, label=title)  # fmt: skip
    plain_axes(curves, "differential thresholds", "bits of the estimate", "perplexity above dense int8")
    curves.set_yscale("symlog", linthresh=1)
    curves.set_xticks(sorted({row["bits"] for row in rows}))
    curves.legend(fontsize=8, frameon=False)
    means = [row for row in rows if row["rule"].startswith("mean") or (row["rule"], row["bits"], row["split"]) ==
             ("uniform", 4, "balanced")]  # fmt: skip
    colors = [COLORS["peer"] if row["rule"].startswith("mean") else COLORS["plain"] for row in means]
    names = [label(row["rule"]).replace(", ", ",\n") for row in means]
    bars.bar(names, [row["change"] for row in means], color=colors, yerr=error_bars(means), capsize=3)
    plain_axes(bars, "4 bits: differential and mean-based", "", "perplexity above dense int8")
    bars.tick_params(axis="x", labelsize=7)


def table(content: dict[str, Any]) -> str:
    rows = content["results"]["rows"]
    lines = [markdown(*columns(rows, ("rule", "bits", "split")))]
    if "equality" in content["results"]:
        lines.insert(0, spread_line(content["results"]["equality"]))
    formulas = dict.fromkeys(f"`({row['bit_operation_formula']}) / (128·valid) - 1`" for row in rows)
    return "\n\n".join([*lines, "Bit operations: " + "; ".join(formulas) + "."])
