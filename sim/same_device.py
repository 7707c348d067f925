"""`make same-device`: queries per second of both cores on one FPGA; `docs/results/same-device.json`.

Every configuration that `latte synth --place-and-route` was tried with has its result in `docs/results/same-device/`;
one that did not fit or route says so there. Here each runs its emitted Verilog under Verilator on the same tensors
(577 keys, no mask, 85.16 % pruned), must equal its golden model, and gets

    queries per second = queries per cycle · median Fmax of its seeds.

Rates are taken between output rows, from the last row of the first scan to the last row of all.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from golden.stimuli import random_trace
from golden.tensors import from_arrays
from latte_hw.config import Core, LatteConfig
from sim.race import KEYS, QUERIES, SEED, fitting, race
from sim.results import write_result

FOLDER = Path(__file__).parents[1] / "docs" / "results" / "same-device"
KEEP = 0.1484
NEEDED = 3.5

console = Console()


def entrants() -> list[dict[str, Any]]:
    """The results of synthesis, in the order of their files' names."""
    found = [json.loads(path.read_text()) | {"file": path.name} for path in sorted(FOLDER.glob("*.json"))]
    if not found:
        raise SystemExit(f"{FOLDER} holds no results of latte synth")
    return found


def measured(entrant: dict[str, Any]) -> dict[str, Any]:
    """One entrant with its cycles and queries per second."""
    config, core = LatteConfig(**entrant["config"]), Core(entrant["core"])
    tensors = random_trace(fitting(LatteConfig(causal=False, heads=1), KEYS), SEED, 1, 1, QUERIES, KEYS, keep=KEEP)
    run = race(from_arrays(tensors, config), config, core)
    routed = entrant["place_and_route"]
    fmax = routed["fmax_mhz_median"]
    return {
        "file": entrant["file"], "command": entrant["command"], **asdict(run), "dot": str(config.dot),
        "kv_buffers": config.kv_buffers, "dsp_products": entrant["target"].get("dsp_products"),
        "total": entrant["total"], "utilisation_with_wrapper": routed["utilisation_with_wrapper"],
        "seeds": [seed["fmax_mhz"] for seed in routed["seeds"]], "fmax_mhz_median": fmax,
        "queries_per_second": run.queries_per_cycle * fmax * 1e6,
    }  # fmt: skip


def main() -> int:
    """Measure everything and write the result; exit code 1 if a core differs from its golden model."""
    rows = []
    for entrant in entrants():
        rows.append(measured(entrant))
        row = rows[-1]
        console.print(
            f"{row['file']}: {row['fmax_mhz_median']} MHz, {1 / row['queries_per_cycle']:.1f} cycles a query, "
            f"{row['queries_per_second'] / 1e6:.3f} million queries a second"
        )
    best = {core: max((row for row in rows if row["core"] == core), key=lambda row: row["queries_per_second"])
            for core in ("latte", "dense")}  # fmt: skip
    ratio = best["latte"]["queries_per_second"] / best["dense"]["queries_per_second"]
    console.print(f"best LATTE over best dense: {ratio:.2f} (needed {NEEDED})")
    figures = {
        "device": "Lattice ECP5 LFE5UM5G-85F, speed grade 8", "keys": KEYS, "keep": KEEP, "seed": SEED,
        "counted": "valid pairs; nothing is masked", "formula": "queries per cycle * median Fmax of the seeds",
        "rows": rows, "best": {core: row["file"] for core, row in best.items()}, "ratio": ratio,
    }  # fmt: skip
    console.print(f"written to {write_result('same-device', 'make same-device', figures)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
