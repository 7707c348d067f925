"""Vision: top-1 against pruned share, for every model."""

from typing import Any

from golden.experiments.figures.style import COLORS, columns, figure_of, label, markdown, plain_axes

SIZE = (8.6, 3.8)
METHODS = (("global", COLORS["plain"]), ("head_wise", COLORS["peer"]), ("trained", COLORS["ours"]))


def draw(content: dict[str, Any], figure: Any) -> None:
    models = content["results"]["models"]
    for index, model in enumerate(models):
        axes = figure.add_subplot(1, len(models), index + 1)
        for method, color in METHODS:
            rows = [row for point in model["points"] for row in point["rows"] if row["method"] == method]
            rows.sort(key=lambda row: row["pruned"])
            axes.plot([100 * row["pruned"] for row in rows], [100 * row["change"] for row in rows], "o-", color=color,
                      markersize=4, label=label(method))  # fmt: skip
        plain_axes(axes, f"{model['model']}, {model['tokens']} tokens", "pruned (% of pairs)",
                   "top-1 above dense int8 (points)")  # fmt: skip
        axes.axhline(0, color="black", linewidth=0.6)
        axes.legend(fontsize=8, frameon=False)


def table(content: dict[str, Any]) -> str:
    parts = []
    for model in content["results"]["models"]:
        images = f"{model['items']} held-out images of {model['images']['source']}"
        parts.append(
            f"{model['model']}, {model['tokens']} tokens, {images}: "
            f"top-1 {figure_of(model['float'])} in floating point, {figure_of(model['dense_int8'])} dense int8."
        )
        rows = [row for point in model["points"] for row in point["rows"]]
        parts.append(markdown(*columns(rows)))
    return "\n\n".join(parts)
