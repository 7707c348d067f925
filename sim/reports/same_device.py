"""`make same-device`: both cores on one ECP5-85F, queries per second; `docs/results/same-device.json`.

Each entrant's emitted Verilog runs in the native simulator on the same tensors, one head of the shape of DeiT-B16
(577 queries, 577 keys, no mask, thresholds that keep 14.84 %), and must equal its golden model. Its clock is that of
its file in `docs/results/synth/`, made by the command that the result names; without one it has no queries per second.

    queries per second = queries per cycle · Fmax

Rates are taken between output rows, from the last row of the first scan to the last row of all.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from golden.files.stimuli import random_trace
from golden.files.tensors import from_arrays
from latte_hw.config import Core, CoreConfig, Datapath, LatteConfig
from latte_hw.config.errors import LatteError
from latte_hw.config.loading import resolve_config
from latte_hw.config.presets import preset
from latte_hw.host import terminal
from latte_hw.params import ceil_div
from sim.reports.race import KEYS, SEED, race
from sim.reports.results import FOLDER, write_result

KEEP = 0.1484
QUERIES = KEYS
DSP_BLOCKS = 156
"""Of the device: all that a core can use. Products that are left over are built from LUTs, for both sides alike."""

SCALE_PRODUCTS = 2
"""Products that scale a difference of scores, for every key that the softmax takes per cycle; never of LUTs."""

PRESET = "deit-b16-384"
TRACE_CONFIG = preset(PRESET)


@dataclass(frozen=True)
class Entrant:
    """A core in one configuration, placed with one seed: a run takes up to hours where half of the chip is full."""

    name: str
    core: Core
    changes: dict[str, Any]
    seed: int = 1

    @property
    def config(self) -> CoreConfig:
        return resolve_config(PRESET, None, self._settings, core=self.core)

    @property
    def _settings(self) -> list[str]:
        return [f"{name}={value}" for name, value in {"kv_buffers": 1, **self.changes}.items()]

    @property
    def keys_weighed(self) -> int:
        """Keys whose weights the core makes per cycle."""
        config = self.config
        return config.queries_per_scan * (config.kept_per_cycle if isinstance(config, LatteConfig) else 1)

    @property
    def synthesis(self) -> Path:
        """Where the result of its place and route is, once there is one."""
        return FOLDER / "synth" / f"same-device-{self.name}.json"

    @property
    def command(self) -> str:
        """What makes that file (called `synth.json` where it is written)."""
        settings = " ".join(f"--set {setting}" for setting in self._settings)
        products = DSP_BLOCKS - SCALE_PRODUCTS * self.keys_weighed
        return (
            f"latte synth --core {self.core.value} --preset {PRESET} {settings} --target ecp5-85k "
            f"--dsp-products {products} --trim --placer static --place-and-route "
            f"--seeds {self.seed} -o build/same-device/{self.name}"
        )

    def routed(self) -> dict[str, Any]:
        """What place and route found: `fmax_mhz_median`, over the seeds, and `utilisation_with_wrapper`; empty without
        a file. Raises :class:`LatteError` if the file is of another core.
        """
        if not self.synthesis.exists():
            return {}
        result = json.loads(self.synthesis.read_text())
        if result["core"] != self.core or type(self.config).model_validate(result["config"]) != self.config:
            raise LatteError(f"{self.synthesis.name} is not of the core and configuration of {self.name}")
        return dict(result["place_and_route"])


DENSE_ROOM = 584
"""Keys that fit into the dense cores on record; they take no more cycles for it."""

LEAN = {"table_dims": 3, "adders_per_register": 2}
SINGLE = {"table_queries": 1}
LEAN_SINGLE = {**SINGLE, "adders_per_register": 2}
LEAN_REUSE = {"reuse_table_dims": 3, "reuse_table_queries": 2}
"""Tables of the dot products."""


def _scan(queries: int, keys: int, tables: dict[str, int], **more: Any) -> dict[str, Any]:
    room = ceil_div(KEYS, keys) * keys
    return {"queries_per_scan": queries, "keys_per_cycle": keys, "max_keys": room, **tables, **more}


def _latte(keys: int, seed: int = 1) -> Entrant:
    changes = _scan(queries=1, keys=keys, tables=LEAN, kept_per_cycle=2)
    return Entrant(f"latte-p{keys}", Core.LATTE, changes, seed)


def _dense(queries: int, tables: dict[str, int], seed: int = 1) -> Entrant:
    changes = {"queries_per_scan": queries, "max_keys": DENSE_ROOM, **tables}
    return Entrant(f"dense-b{queries}", Core.DENSE, changes, seed)


ENTRANTS = (
    _latte(keys=12, seed=2),
    _latte(keys=13, seed=5),
    _latte(keys=14),
    Entrant("latte-b3", Core.LATTE, _scan(queries=3, keys=7, tables=LEAN_SINGLE, **LEAN_REUSE)),
    _dense(queries=2, tables=SINGLE),
    _dense(queries=3, tables=LEAN_SINGLE),
    _dense(queries=4, tables=LEAN_SINGLE),
    _dense(queries=5, tables=LEAN_SINGLE, seed=3),
)
"""Of each core what takes from a fifth or half of the device's LUTs to nearly all: a larger core answers more queries
per cycle, a smaller one has more cycles per second."""

console = Console()


def measured(entrant: Entrant) -> dict[str, Any]:
    """One entrant with its cycles, and with its queries per second if its clock is known."""
    tensors = random_trace(TRACE_CONFIG, SEED, 1, 1, QUERIES, KEYS, keep=KEEP)
    run = race(from_arrays(tensors, entrant.config), entrant.config)
    routed = entrant.routed()
    fmax = routed.get("fmax_mhz_median")
    return {
        "name": entrant.name, **asdict(run), "dot": entrant.config.dot_choice.fields(),
        "cycles_per_query": 1 / run.queries_per_cycle, "fmax_mhz": fmax, "synthesis": entrant.command,
        "utilisation": routed.get("utilisation_with_wrapper"),
        "queries_per_second": None if fmax is None else run.queries_per_cycle * fmax * 1e6,
    }  # fmt: skip


def ratios(rows: Sequence[dict[str, Any]], figure: str) -> dict[str, float]:
    """A figure of every LATTE entrant over every dense one, where both have it."""
    latte, dense = (
        [row for row in rows if Core(row["core"]).datapath is datapath and row[figure]]
        for datapath in (Datapath.LATTE, Datapath.DENSE)
    )
    return {f"{one['name']} / {other['name']}": one[figure] / other[figure] for one in latte for other in dense}


def main() -> int:
    """Measure everything and write the result; exit code 1 if a core differs from its golden model."""
    rows = []
    for entrant in ENTRANTS:
        rows.append(measured(entrant))
        clock = "no clock yet" if rows[-1]["fmax_mhz"] is None else f"{rows[-1]['fmax_mhz']} MHz"
        console.print(f"{entrant.name}: {rows[-1]['cycles_per_query']:.2f} cycles a query, {clock}")
    by_cycle, by_second = (ratios(rows, figure) for figure in ("queries_per_cycle", "queries_per_second"))
    figures = {
        "device": "Lattice ECP5 LFE5U-85F, speed grade 8", "keys": KEYS, "queries": QUERIES, "keep": KEEP, "seed": SEED,
        "counted": "valid pairs; nothing is masked", "rows": rows,
        "ratios": {"queries_per_cycle": by_cycle, "queries_per_second": by_second},
    }  # fmt: skip
    for pair, ratio in by_cycle.items():
        rate = f", {by_second[pair]:.2f} times those per second" if pair in by_second else ""
        console.print(f"{pair}: {ratio:.2f} times the queries per cycle{rate}")
    console.print(f"written to {write_result('same-device', 'make same-device', figures).name}")
    return 0


if __name__ == "__main__":
    terminal.run(main, "sim.reports.same_device")
