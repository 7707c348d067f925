"""Fidelity: recall against bits, and maps of all heads."""

from typing import Any

from golden.experiments.figures.style import COLORS, heads_map, markdown, percent, plain_axes

SIZE = (11.5, 3.8)
NONE: list[str] = []
BOTH = ["smooth_k", "rotate"]
LINES = (
    ("truncate", NONE, COLORS["paper"], ":", "truncate"),
    ("truncate", BOTH, COLORS["paper"], "-", "truncate, smooth_k + rotate"),
    ("balanced", NONE, COLORS["ours"], ":", "balanced"),
    ("balanced", BOTH, COLORS["ours"], "-", "balanced, smooth_k + rotate"),
)


def _find(content: dict[str, Any], bits: int, split: str, conditioning: list[str]) -> dict[str, Any]:
    for one in content["results"]["settings"]:
        if (one["bits"], one["split"], one["conditioning"]) == (bits, split, conditioning):
            found: dict[str, Any] = one
            return found
    raise KeyError(f"{bits} {split} {conditioning}")


def draw(content: dict[str, Any], figure: Any) -> None:
    lines, paper, ours = figure.subplots(1, 3, width_ratios=[1.5, 1, 1])
    bits = sorted({one["bits"] for one in content["results"]["settings"]})
    for split, conditioning, color, style, name in LINES:
        recall = [_find(content, b, split, conditioning)["mean"]["recall"] for b in bits]
        lines.plot(bits, recall, style, color=color, marker="o", markersize=4, label=name)
    plain_axes(lines, "mean over all heads", "bits of the estimate", "recall of the greatest tenth")
    lines.set_xticks(bits)
    lines.legend(fontsize=8, frameon=False)
    for axes, split, conditioning, title in (
        (paper, "truncate", NONE, "recall, 4 bits, truncate"),
        (ours, "balanced", BOTH, "recall, 4 bits, balanced,\nsmooth_k + rotate"),
    ):
        heads_map(figure, axes, _find(content, 4, split, conditioning)["per_head"]["recall"], title, 0, 1)


def table(content: dict[str, Any]) -> str:
    rows = []
    for one in content["results"]["settings"]:
        mean = one["mean"]
        rows.append([
            str(one["bits"]), one["split"], " + ".join(one["conditioning"]) or "none", f"{mean['rank']:.3f}",
            percent(mean["recall"], 1), percent(one["worst_recall"], 1), percent(mean["mass"], 1),
            f"{mean['error']:.3f}",
        ])  # fmt: skip
    header = ["bits", "split", "conditioning", "rank correlation", "recall", "recall, worst head",
              "softmax weight found", "error (logits)"]  # fmt: skip
    return markdown(header, rows, left=3)
