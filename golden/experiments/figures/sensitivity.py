"""Sensitivity: what pruning more costs."""

from typing import Any

from golden.experiments.figures.style import COLORS, change_of, figure_of, markdown, percent, plain_axes, signed_percent

SIZE = (6.4, 4.2)
CURVES = (
    ("truncate", COLORS["paper"], "truncate, one threshold (paper's estimate)"),
    ("balanced", COLORS["plain"], "balanced + smooth_k + rotate, one threshold"),
    ("trained", COLORS["ours"], "the same, trained thresholds shifted"),
)


def draw(content: dict[str, Any], figure: Any) -> None:
    axes = figure.subplots()
    for name, color, title in CURVES:
        curve = content["results"]["curves"].get(name)
        if curve is None:
            continue
        pruned = [100 * row["pruned"] for row in curve["rows"]]
        axes.plot(pruned, [row["change"] for row in curve["rows"]], "o-", color=color, markersize=4, label=title)
    plain_axes(axes, content["title"], "pruned (% of valid pairs)", "perplexity above dense int8")
    axes.set_yscale("symlog", linthresh=1)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.legend(fontsize=8, frameon=False)


def table(content: dict[str, Any]) -> str:
    rows = []
    for name, _, title in CURVES:
        for row in content["results"]["curves"].get(name, {"rows": []})["rows"]:
            setting = f"τ = {row['tau']:g}" if "tau" in row else f"shift {row['shift']:+g}"
            rows.append([title, setting, figure_of(row), change_of(row), percent(row["pruned"]),
                         signed_percent(row["bit_operation_change"])])  # fmt: skip
    dense = ", ".join(
        f"{name} {figure_of(curve['dense_int8'])}" for name, curve in content["results"]["curves"].items()
    )
    line = f"Float: {figure_of(content['results']['float'])}; dense int8: {dense}."
    header = ["estimate", "setting", "perplexity", "against dense int8", "pruned", "bit operations"]
    return line + "\n\n" + markdown(header, rows, left=2)
