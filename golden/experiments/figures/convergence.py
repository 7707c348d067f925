"""Convergence: what a training run does step by step, and what its thresholds are worth."""

from typing import Any

from golden.experiments.figures.style import COLORS, columns, error_bars, label, markdown, plain_axes

SIZE = (10.5, 3.8)


def draw(content: dict[str, Any], figure: Any) -> None:
    course, worth = figure.subplots(1, 2)
    rows, training = content["results"]["rows"], content["results"].get("training", {"history": []})
    history = training["history"]
    steps = [one["step"] for one in history]
    course.plot(steps, [one["kl"] for one in history], color=COLORS["ours"], label="KL to dense int8 (nats)")
    plain_axes(course, "a training run", "step", "KL (nats)")
    kept = course.twinx()
    kept.plot(steps, [100 * one["keep"] for one in history], color=COLORS["paper"], linewidth=1, label="kept")
    kept.set_ylabel("kept (% of valid pairs)", color=COLORS["paper"])
    kept.set_ylim(0, 200 * content["results"]["keep"])
    trained = [row for row in rows if row["method"] == "trained"]
    worth.errorbar([row["step"] for row in trained], [row["change"] for row in trained], error_bars(trained), fmt="o-",
                   color=COLORS["ours"], markersize=4, capsize=2, label=label("trained"))  # fmt: skip
    for row in rows:
        if row["method"] == "head_wise":
            worth.axhline(row["change"], color=COLORS["peer"], linestyle="--", label=label("head_wise"))
    plain_axes(worth, "at equal pruned share, held out", "training step", "perplexity above dense int8")
    worth.legend(fontsize=8, frameon=False)


def table(content: dict[str, Any]) -> str:
    header, cells = columns(content["results"]["rows"], ("method", "step", "seconds"))
    lines = [markdown(header, cells)]
    training = content["results"].get("training")
    if training:
        peak = "" if training["peak_gpu_gib"] is None else f", {training['peak_gpu_gib']} GiB of GPU memory at most"
        lines.append(
            f"{training['parameters']} thresholds, {training['seconds_per_step']:.3f} s per step of "
            f"{content['settings']['plan']['batch']} windows{peak}; calibrating one threshold took "
            f"{content['settings']['calibration_seconds']} s."
        )
    return "\n\n".join(lines)
