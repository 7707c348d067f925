"""`make race`: LATTE against the dense int8 core, queries per cycle for equal operations; `docs/results/race.json`.

Both cores run the emitted Verilog in the native simulator on the same tensors, and both must equal their golden model.
A 4×4-bit multiply-add counts 1, an 8×8-bit one 4, of the multipliers that a core has, busy or not. Rates are taken
between output rows: from the last row of the first scan to the last row of all.

* paper's keep ratios: 577 keys, no mask, thresholds that keep 14.84 % (DeiT-B16) and 10.09 % (GPT-2);
* the committed trace of SmolLM2-135M: causal, 256 tokens, 9 heads back to back;
* the performance model of PULP's ITA (arXiv 2307.03493), 2·S²·64/1024 cycles a head with 1024 int8 multipliers, softmax
  hidden: cycles times int8-equivalent multipliers (operations / 4) of whole heads of S queries and S keys, from the
  first query to the last output row.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from golden.files.stimuli import random_trace
from golden.files.tensors import TensorFile, from_arrays, load
from latte_hw.config import CoreConfig, DenseConfig, LatteConfig
from latte_hw.estimate.operations import FULL, operations_per_cycle
from latte_hw.host import terminal
from latte_hw.params import ceil_div
from sim.reports.results import write_result
from sim.simulate import compare, expect, simulate

TRACE = Path(__file__).parents[2] / "traces" / "smollm2-135m.npz"
SEED = 1
KEYS, QUERIES = 577, 130
PAPER = {0.1484: "DeiT-B16, 85.16 % pruned", 0.1009: "GPT-2, 89.91 % pruned"}
ENTRANTS: dict[float, tuple[dict[str, int], ...]] = {
    0.1484: ({"keys_per_cycle": 7}, {"keys_per_cycle": 8}, {"keys_per_cycle": 7, "queries_per_scan": 2}),
    0.1009: ({"keys_per_cycle": 10}, {"keys_per_cycle": 8}),
}
"""Cores to try: the first balances the two arms, the second has the presets' keys per cycle."""

ITA_SIZES = (256, 512, 1024)
HIGH = 1
"""Operations of a 4×4-bit multiply-add; an 8×8-bit one has `FULL`."""

console = Console()


@dataclass(frozen=True)
class Run:
    """One core on one set of tensors."""

    core: str
    keys_per_cycle: int
    queries_per_scan: int
    operations: int  # per cycle
    pruned: float
    queries_per_cycle: float
    cycles: int  # from the first query to the last row of the last head

    @property
    def rate(self) -> float:
        """Queries per cycle and operation."""
        return self.queries_per_cycle / self.operations


def operations(config: CoreConfig) -> int:
    """Operations per cycle of a core's multipliers; whole with msb_bits = 4."""
    return round(operations_per_cycle(config))


def race(tensors: TensorFile, config: CoreConfig, simulator: str = "native") -> Run:
    """Run a core, demand the golden model's results, and measure."""
    got = simulate(tensors, config, taps=False, back_to_back=True, simulator=simulator)
    difference = compare(expect(tensors, config), got)
    if difference is not None:
        raise SystemExit(f"{config.core}: {difference}")
    left: NDArray[np.int64] = got["query_cycles"].ravel()
    shared = config.queries_per_scan
    counted = dict(zip(got["counter_names"].tolist(), got["counters_total"].tolist(), strict=True))
    return Run(
        core=str(config.core.value),
        keys_per_cycle=config.keys_per_cycle if isinstance(config, LatteConfig) else 1,
        queries_per_scan=shared,
        operations=operations(config),
        pruned=1 - counted["kept"] / counted["keys_seen"],
        queries_per_cycle=(len(left) - shared) / float(left[-1] - left[shared - 1]),
        cycles=int(left[-1] - got["query_start"].ravel()[0] + 1),
    )


def fitting(config: LatteConfig, keys: int, **changes: Any) -> LatteConfig:
    """The configuration with room for so many keys."""
    lanes = changes.get("keys_per_cycle", config.keys_per_cycle)
    return config.replace(max_keys=ceil_div(keys, lanes) * lanes, **changes)


def against(dense: Run, latte: Run) -> dict[str, Any]:
    ratio = latte.rate / dense.rate
    bound = 2 * FULL / (HIGH + (1 - latte.pruned) * (2 * HIGH + FULL))
    return {"latte": asdict(latte), "dense": asdict(dense), "ratio": ratio, "bound": bound}


def _paper() -> dict[str, Any]:
    base = LatteConfig(causal=False, heads=1)
    figures: dict[str, Any] = {}
    for keep, name in PAPER.items():
        tensors = random_trace(fitting(base, KEYS), SEED, 1, 1, QUERIES, KEYS, keep=keep)
        dense_config = DenseConfig.of(base).replace(max_keys=KEYS)
        dense = race(from_arrays(tensors, dense_config), dense_config)
        figures[name] = []
        for entrant in ENTRANTS[keep]:
            config = fitting(base, KEYS, **entrant)
            row = against(dense, race(from_arrays(tensors, config), config))
            figures[name].append(row)
            console.print(f"{name}, {entrant}: {row['ratio']:.3f} of at most {row['bound']:.3f}")
    return figures


def _captured() -> dict[str, Any]:
    base = LatteConfig(causal=True, heads=9)
    configs: tuple[CoreConfig, ...] = (
        DenseConfig.of(base).replace(max_keys=256),
        fitting(base, 256, keys_per_cycle=10),
    )
    dense, latte = (race(load(TRACE, config), config) for config in configs)
    figures = against(dense, latte)
    console.print(f"captured trace: {figures['ratio']:.3f} of at most {figures['bound']:.3f}")
    return figures


def _ita() -> list[dict[str, Any]]:
    rows = []
    for keep, name in PAPER.items():
        base = LatteConfig(causal=False, heads=1)
        for size in ITA_SIZES:
            config = fitting(base, size, **ENTRANTS[keep][0])
            tensors = from_arrays(random_trace(config, SEED, 1, 1, size, size, keep=keep), config)
            run = race(tensors, config)
            theirs = 2 * size * size * config.head_dim // 1024 * 1024
            ours = run.cycles * run.operations / FULL
            rows.append({"tokens": size, "keep": name, **asdict(run), "ita_cycles_times_multipliers": theirs,
                         "latte_cycles_times_multipliers": ours, "latte_over_ita": ours / theirs})  # fmt: skip
            console.print(f"ITA's performance model, S = {size}, {name}: {ours / theirs:.3f}")
    return rows


def main() -> int:
    """Run everything and write the result; exit code 1 if a core differs from its golden model."""
    figures = {"seed": SEED, "counted": "valid pairs", "operations": "4x4 bits 1, 8x8 bits 4, of all multipliers",
               "bound": "8 / (1 + kept * 6): every multiplier busy in every cycle",
               "paper": _paper(), "captured": _captured(), "ita": _ita()}  # fmt: skip
    console.print(f"written to {write_result('race', 'make race', figures)}")
    return 0


if __name__ == "__main__":
    terminal.run(main, "sim.reports.race")
