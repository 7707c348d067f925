"""Peers: the rules side by side."""

from typing import Any

from golden.experiments.figures.style import (
    COLORS,
    columns,
    error_bars,
    label,
    markdown,
    plain_axes,
    signed,
    spread_line,
)

SIZE = (7.6, 3.6)


def _color(method: str) -> str:
    if method.startswith("latte"):
        return COLORS["ours"]
    return COLORS["oracle"] if method.startswith("top_k") else COLORS["peer"]


def draw(content: dict[str, Any], figure: Any) -> None:
    axes = figure.subplots()
    rows = content["results"]["rows"][::-1]
    axes.barh([label(row["method"]) for row in rows], [row["change"] for row in rows], xerr=error_bars(rows), capsize=2,
              color=[_color(row["method"]) for row in rows])  # fmt: skip
    plain_axes(axes, content["title"], "perplexity above dense int8", "")
    axes.axvline(0, color="black", linewidth=0.6)


def table(content: dict[str, Any]) -> str:
    rows = content["results"]["rows"]
    header, cells = columns(rows)
    differences = content["results"].get("minus_latte_trained", {})
    for row, line in zip(rows, cells, strict=True):
        one = differences.get(row["method"])
        line.append(
            "–" if one is None else f"{signed(one['mean'], 4)} ({signed(one['low'], 4)} to {signed(one['high'], 4)})"
        )
    lines = [markdown([*header, "loss minus LATTE trained (95 %)"], cells)]
    if "equality" in content["results"]:
        lines.insert(0, spread_line(content["results"]["equality"]))
    formulas = dict.fromkeys(f"{label(row['method'])} `{row['bit_operation_formula']}`" for row in rows)
    return "\n\n".join([*lines, "Bit operations against `128·valid`: " + "; ".join(formulas) + "."])
