"""Long sequences: carried over, retrained, one threshold."""

from typing import Any

from golden.experiments.figures.style import (
    COLORS,
    columns,
    error_bars,
    figure_of,
    label,
    markdown,
    percent,
    plain_axes,
    spread_line,
)

SIZE = (7.6, 3.9)
METHODS = (
    ("carried", "#9db8d9"),
    ("carried_shifted", "#5b8cc4"),
    ("retrained", COLORS["ours"]),
    ("uniform", COLORS["plain"]),
)


def draw(content: dict[str, Any], figure: Any) -> None:
    axes = figure.subplots()
    lengths = content["results"]["lengths"]
    for index, (method, color) in enumerate(METHODS):
        rows = [(i, row) for i, one in enumerate(lengths) for row in one["rows"] if row["method"] == method]
        at = [i + 0.2 * (index - 1.5) for i, _ in rows]
        own = [row for _, row in rows]
        axes.bar(at, [row["change"] for row in own], 0.18, color=color, yerr=error_bars(own), capsize=2,
                 label=label(method))  # fmt: skip
        for x, row in zip(at, own, strict=True):
            axes.annotate(percent(row["pruned"], 1), (x, max(0.0, row["change"])), ha="center", va="bottom", fontsize=6,
                          xytext=(0, 6), textcoords="offset points")  # fmt: skip
    axes.set_xticks(range(len(lengths)), [f"{one['tokens']} tokens" for one in lengths])
    axes.axhline(0, color="black", linewidth=0.6)
    plain_axes(axes, "pruned share above each bar", "", "perplexity above dense int8")
    axes.legend(fontsize=8, frameon=False)


def table(content: dict[str, Any]) -> str:
    parts = []
    for one in content["results"]["lengths"]:
        line = f"{one['tokens']} tokens, dense int8 {figure_of(one['dense_int8'])}."
        parts.append(line + (" " + spread_line(one["equality"]) if "equality" in one else ""))
        parts.append(markdown(*columns(one["rows"])))
    return "\n\n".join(parts)
