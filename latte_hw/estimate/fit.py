"""The coefficients of the area model: `python -m latte_hw.estimate.fit`.

Fits every block's LUTs and flip-flops to the synthesis runs in `docs/results/estimate-synthesis.json` and writes
`coefficients.json` beside this module. How far the model is off where it was not fitted is in
`docs/results/estimate-area.json`: every core is estimated with coefficients that were fitted to all others but it.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from latte_hw.config import LatteConfig
from latte_hw.estimate.area import FIGURES, QUEUES, area_of, quantities
from latte_hw.estimate.measure import FIGURES as MEASURED
from latte_hw.estimate.measure import RESULTS, lines, load
from latte_hw.estimate.page import area_table, fill
from latte_hw.host import terminal
from latte_hw.lib.names import numbered

COEFFICIENTS = Path(__file__).with_name("coefficients.json")
REPORT = Path("docs/results/estimate-area.json")
ALLOWED = 0.15
"""Greatest relative error that is accepted of LUTs and DSP blocks."""

Run = dict[str, Any]


def measured(run: Run, figure: str) -> dict[str, float]:
    """What synthesis counted for each block of the model, all lanes together."""
    column = MEASURED.index(figure)
    modules = run["modules"]
    lanes = run["config"]["queries_per_scan"]

    def total(*names: str) -> float:
        inside = [f"head.{one}" for name in names for one in {name, *numbered(name, lanes)}]
        return float(sum(modules[name]["total"][column] for name in inside if name in modules))

    blocks = {
        name: total(name) for name in ("store", "sequencer", "estimator", "filter", "reuse", "softmax", "weighted_sum")
    } | {"queues": total(*QUEUES)}
    return blocks | {"head": modules["head"]["total"][column] - sum(blocks.values())}


def fitted(runs: Sequence[Run]) -> dict[str, Any]:
    """Coefficients by target, figure, block and quantity."""
    return {
        target: _fitted([run for run in runs if run["target"] == target], target)
        for target in sorted({run["target"] for run in runs})
    }


def _fitted(runs: Sequence[Run], target: str) -> dict[str, Any]:
    found = [quantities(LatteConfig.model_validate(run["config"]), target) for run in runs]
    coefficients: dict[str, Any] = {}
    for figure in FIGURES:
        counted = [measured(run, figure) for run in runs]
        whole = np.array([sum(one.values()) for one in counted])  # errors count relative to the whole core
        coefficients[figure] = {}
        for block in found[0]:
            names = sorted({name for one in found for name in one[block]})
            matrix = np.array([[one[block].get(name, 0) for name in names] for one in found], float)
            wanted = np.array([one[block] for one in counted])
            values = nonnegative(matrix / whole[:, None], wanted / whole)
            rounded = {name: round(float(value), 4) for name, value in zip(names, values, strict=True)}
            coefficients[figure][block] = {name: value for name, value in rounded.items() if value > 0}
    return coefficients


def nonnegative(matrix: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least squares with coefficients of at least 0."""
    scale = np.maximum(np.abs(matrix).max(axis=0), 1e-30)
    values: NDArray[np.float64] = nnls(matrix / scale, wanted)[0]
    return values / scale


def held_against(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Of every run, what synthesis counted and what is estimated with coefficients from all other cores."""
    rows = []
    for run in runs:
        config, target = LatteConfig.model_validate(run["config"]), run["target"]
        others = [one for one in runs if one["target"] == target and one["config"] != run["config"]]
        area = area_of(config, target, {target: _fitted(others, target)})
        total = dict(zip(MEASURED, run["modules"]["head"]["total"], strict=True))
        figures = {"lut": area.lut, "ff": area.ff, "dsp": area.dsp, "block_ram": area.block_ram}
        rows.append(
            {
                "target": target,
                "changes": changes_of(config),
                "synthesis": {name: total[name] for name in figures},
                "estimate": figures,
                "error": {name: round(_error(value, total[name]), 4) for name, value in figures.items()},
                "synthesis_seconds": run["seconds"],
            }
        )
    return rows


def changes_of(config: LatteConfig) -> dict[str, Any]:
    """How a configuration differs from the plainest one."""
    plain = LatteConfig().model_dump(mode="json")
    return {name: value for name, value in config.model_dump(mode="json").items() if value != plain[name]}


def _error(estimate: float, counted: float) -> float:
    return (estimate - counted) / counted if counted else float(estimate != counted)


def main() -> int:
    """Fit, write both files, print the greatest errors; exit code 1 if one is above what is accepted."""
    runs = load()
    rows = held_against(runs)
    worst = {}
    for target in sorted({run["target"] for run in runs}):
        errors = [row["error"] for row in rows if row["target"] == target]
        worst[target] = {"configurations": len(errors)} | {
            name: max(abs(error[name]) for error in errors) for name in ("lut", "ff", "dsp", "block_ram")
        }
        print(f"{target}: {worst[target]}", file=sys.stderr)
    provenance = {
        "command": "python -m latte_hw.estimate.fit",
        "fitted_to": f"the runs in {RESULTS}",
        "yosys": sorted({run["yosys"] for run in runs}),
    }
    coefficients = fitted(runs)
    COEFFICIENTS.write_text(json.dumps({**provenance, "targets": coefficients}, indent=1) + "\n")
    fill("area", area_table(worst))
    report = {**provenance, "greatest_error_of_a_core_fitted_without": worst, "allowed": ALLOWED, "rows": rows}
    REPORT.write_text(lines(report))
    return int(any(one[name] > ALLOWED for one in worst.values() for name in ("lut", "dsp")))


if __name__ == "__main__":
    terminal.run(main, "latte_hw.estimate.fit")
