"""Granularity: the three kinds of thresholds at equal pruned shares, and what was trained."""

from typing import Any

from golden.experiments.figures.style import (
    COLORS,
    columns,
    error_bars,
    heads_map,
    label,
    markdown,
    plain_axes,
    signed,
    spread_line,
)

SIZE = (11, 3.9)
METHODS = (("global", COLORS["plain"]), ("head_wise", COLORS["peer"]), ("trained", COLORS["ours"]))


def draw(content: dict[str, Any], figure: Any) -> None:
    curves, taus, kept = figure.subplots(1, 3, width_ratios=[1.4, 1, 1])
    points = content["results"]["points"]
    for method, color in METHODS:
        rows = [row for point in points for row in point["rows"] if row["method"] == method]
        rows.sort(key=lambda row: row["pruned"])
        curves.errorbar([100 * row["pruned"] for row in rows], [row["change"] for row in rows], error_bars(rows),
                        fmt="o-", color=color, markersize=4, capsize=2, label=label(method))  # fmt: skip
    plain_axes(curves, "at equal pruned shares", "pruned (% of valid pairs)", "perplexity above dense int8")
    curves.legend(fontsize=8, frameon=False)
    main = min(points, key=lambda point: abs(point["keep"] - content["results"]["keep"]))
    values = main["tau"]["trained"]
    heads_map(figure, taus, values, "trained thresholds (logits)", 0, max(map(max, values)))
    heads_map(figure, kept, main["kept_per_head"]["trained"], "share kept by each head", 0, 0.5)


def table(content: dict[str, Any]) -> str:
    parts = []
    for point in content["results"]["points"]:
        parts.append(spread_line(point["equality"]))
        parts.append(markdown(*columns(point["rows"])))
        for other in ("global", "head_wise"):
            gain = point[f"{other}_minus_trained"]
            parts.append(
                f"Mean loss of {label(other)} minus that of trained: {signed(gain['mean'], 5)} "
                f"(95 % interval {signed(gain['low'], 5)} to {signed(gain['high'], 5)}, {gain['items']} windows)."
            )
    return "\n\n".join(parts)
