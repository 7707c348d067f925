"""How pictures look and numbers read, in one place."""

import math
from collections.abc import Sequence
from typing import Any

COLORS = {"ours": "#1f5fa8", "paper": "#b3541e", "plain": "#6b7280", "peer": "#7a4fa3", "oracle": "#2f7d4f"}

LABELS = {
    "global": "one threshold",
    "head_wise": "head-wise, calibrated",
    "trained": "head-wise, trained",
    "uniform": "one threshold",
    "carried": "carried over",
    "carried_shifted": "carried over, shifted",
    "retrained": "retrained",
    "latte_uniform": "LATTE, one threshold",
    "latte_trained": "LATTE, trained",
    "sanger": "Sanger-like",
    "mp_mrf": "MP-MRF",
    "leopard": "LeOPArd-like, trained",
    "mean, one_round": "mean-based, one round",
    "mean, two_rounds": "mean-based, two rounds",
    "mean, two_rounds_mean_first": "mean-based, two rounds, plain mean first",
    "top_k_share": "oracle: same share of each row",
    "top_k_count": "oracle: same number for each row",
}

Rows = Sequence[dict[str, Any]]


def label(name: str) -> str:
    return LABELS.get(name, name)


def percent(share: float, digits: int = 2) -> str:
    """0.8991 as 89.91 %."""
    return f"{100 * share:.{digits}f} %"


def signed(value: float, digits: int = 3) -> str:
    """With its sign, and a real minus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def signed_percent(share: float, digits: int = 2) -> str:
    return signed(100 * share, digits) + " %"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A Markdown table; every column but the first ``left`` is set to the right."""
    ruler = [*["---"] * left, *["---:"] * (len(header) - left)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ruler, *rows))


def figure_of(row: dict[str, Any]) -> str:
    """The figure that a row is judged by, as text: perplexity, or top-1 in percent."""
    return percent(row["top_1"]) if "top_1" in row else f"{row['perplexity']:.3f}"


def change_of(row: dict[str, Any]) -> str:
    """Its change against dense int8: perplexity, or percentage points of top-1."""
    return f"{signed(100 * row['change'], 2)} pt" if "top_1" in row else signed(row["change"])


def interval_of(row: dict[str, Any]) -> tuple[float, float]:
    """Least and greatest change of perplexity within the interval of the mean loss, against the same dense int8."""
    dense = row["perplexity"] - row["change"]
    low, high = row["loss_change"]["low"], row["loss_change"]["high"]
    return dense * math.expm1(low), dense * math.expm1(high)


def error_bars(rows: Rows) -> list[list[float]]:
    """Lengths below and above the change of perplexity, for matplotlib."""
    bounds = [interval_of(row) for row in rows]
    return [
        [max(0.0, row["change"] - low) for row, (low, _) in zip(rows, bounds, strict=True)],
        [max(0.0, high - row["change"]) for row, (_, high) in zip(rows, bounds, strict=True)],
    ]


def plain_axes(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def heads_map(figure: Any, axes: Any, values: Sequence[Sequence[float]], title: str, low: float, high: float) -> None:
    """Values (layers, heads) as a map with its scale beside it."""
    image = axes.imshow(values, aspect="auto", cmap="viridis", vmin=low, vmax=high, interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("head")
    axes.set_ylabel("layer")
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(integer=True)
    figure.colorbar(image, ax=axes, fraction=0.06, pad=0.03)


def columns(rows: Rows, names: Sequence[str] = ("method",)) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the usual table: names, figure, change with interval, shares, bit operations."""
    figure = "top-1" if rows and "top_1" in rows[0] else "perplexity"
    header = [*names, figure, "against dense int8", "95 % interval", "pruned, held out", "pruned, training",
              "bit operations"]  # fmt: skip
    cells = []
    for row in rows:
        interval = "–"
        if "perplexity" in row:
            low, high = interval_of(row)
            interval = f"{signed(low)} to {signed(high)}"
        training = percent(row["pruned_on_training"]) if "pruned_on_training" in row else "–"
        cells.append([
            *(label(str(row[name])) for name in names), figure_of(row), change_of(row), interval,
            percent(row["pruned"]), training, signed_percent(row["bit_operation_change"]),
        ])  # fmt: skip
    return header, cells


def spread_line(equality: dict[str, Any]) -> str:
    """Whether pruned shares are equal enough, in a sentence."""
    verdict = "equal within 0.1 points" if equality["equal"] else "NOT equal within 0.1 points"
    least, most = percent(equality["least_pruned"]), percent(equality["most_pruned"])
    return f"Pruned shares on held-out windows: {least} to {most}, {verdict}."
