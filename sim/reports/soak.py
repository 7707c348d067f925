"""`make soak`: the emitted multi-head core under random layers, back-pressure and resets; `docs/results/soak.json`.

Every configuration of `CONFIGURATIONS` meets every pair of :data:`sim.top.transport.PACES` (idle cycles on all inputs,
back-pressure on all outputs) once, each with a seed of its own: random layers and steps of decoding through the driver,
compared with golden element by element, beats and counters with them (:mod:`sim.top.soak_layers`). Then resets at
random cycles in every configuration (:mod:`sim.top.resets`). The first thing that is wrong ends it with exit code 1 and
the command that repeats it.
"""

import os
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Annotated, Any

import typer

from latte_hw.config import Reuse, Rule, Split
from latte_hw.config.top import Reset, TopConfig
from latte_hw.host import terminal
from sim.reports.results import write_result
from sim.top import runner as top_runner
from sim.top.transport import PACES

CONFIGURATIONS = {
    "one core": TopConfig(head_dim=8, max_keys=32, keys_per_cycle=2, causal=True, stream_bits=32),
    "one buffer": TopConfig(head_dim=16, max_keys=32, keys_per_cycle=4, cores=2, kv_buffers=1),
    "two cores": TopConfig(head_dim=32, max_keys=48, keys_per_cycle=8, causal=True, cores=2, stream_bits=128),
    "four cores": TopConfig(head_dim=40, max_keys=48, keys_per_cycle=4, causal=True, cores=4, stream_bits=512),
    "odd": TopConfig(head_dim=12, max_keys=21, keys_per_cycle=3, cores=3, out_fraction_bits=4, reuse=Reuse.EXACT),
    "gaps": TopConfig(head_dim=64, max_keys=40, keys_per_cycle=5, table_queries=1, reset=Reset.ARESETN),
    "shared scans": TopConfig(
        head_dim=20, max_keys=24, keys_per_cycle=1, causal=True, cores=2, queries_per_scan=3, split=Split.TRUNCATE,
        prob_bits=12, stream_bits=128,
    ),
    "pairs": TopConfig(head_dim=16, max_keys=40, keys_per_cycle=8, causal=True, cores=2, kept_per_cycle=2),
    "static": TopConfig(
        head_dim=24, max_keys=32, keys_per_cycle=4, rule=Rule.STATIC, table_dims=3, msb_bits=5, stream_bits=256,
    ),
}  # fmt: skip
"""Their number has no factor in common with that of the pairs: counting through both meets every combination."""

PAIRS = [(idle, stall) for idle in PACES for stall in PACES]
SEEDS = len(CONFIGURATIONS) * len(PAIRS)
ELEMENTS = 5_500
"""Output elements of a seed, at least: more than 1,000,000 altogether."""

RESETS = 26
"""In every configuration at every pace, the same on all ports: 1,170 altogether."""

RESET_SEEDS = len(CONFIGURATIONS) * len(PACES)

FORMULA = {
    "elements": "sum over layers of heads * n_queries * head_dim, and heads * head_dim of each token decoded",
    "beats": "sum over packets of ceil(rows * head_dim * bytes of an element / bytes of a beat); the output's counted",
    "mismatches": "output elements that differ from golden.attention, bit by bit",
    "lost_or_extra_beats": "output beats received - due; input packets left over; packets beyond those due",
}


@dataclass(frozen=True)
class Case:
    """One simulation: what a seed decides."""

    seed: int
    configuration: str
    idle: str
    stall: str
    scenario: str
    arguments: dict[str, Any]

    def run(self) -> dict[str, Any]:
        config = CONFIGURATIONS[self.configuration]
        return top_runner.run(config, self.scenario, seed=self.seed, idle=self.idle, stall=self.stall, **self.arguments)


def layer_case(seed: int) -> Case:
    name = list(CONFIGURATIONS)[seed % len(CONFIGURATIONS)]
    idle, stall = PAIRS[seed % len(PAIRS)]
    return Case(seed, name, idle, stall, "sim.top.soak_layers:play", {"elements": ELEMENTS, "draws": seed})


def reset_case(seed: int) -> Case:
    name = list(CONFIGURATIONS)[seed % len(CONFIGURATIONS)]
    pace = PACES[seed // len(CONFIGURATIONS) % len(PACES)]
    return Case(seed, name, pace, pace, "sim.top.resets:resets", {"resets": RESETS, "draws": seed})


KINDS = {"layers": (layer_case, SEEDS), "resets": (reset_case, RESET_SEEDS)}


def cases(kind: str) -> list[Case]:
    case_of, seeds = KINDS[kind]
    return [case_of(seed) for seed in range(seeds)]


def soak(kind: str, cases: list[Case], workers: int = 1) -> list[dict[str, Any]]:
    """Run them, so many at a time; ends the program at the first of them that is wrong, when those under way are done.

    Verilog is emitted before, one configuration after the other: Amaranth is not made for threads.
    """
    for configuration in dict.fromkeys(case.configuration for case in cases):
        top_runner.verilog_of(CONFIGURATIONS[configuration])
    summaries: list[dict[str, Any]] = []
    began = perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        runs = [pool.submit(case.run) for case in cases]
        for number, (case, run) in enumerate(zip(cases, runs, strict=True), 1):
            try:
                summaries.append(run.result())
            except Exception as error:
                pool.shutdown(wait=False, cancel_futures=True)
                print(f"seed {case.seed} of {kind} is wrong: {case}\n{error}", file=sys.stderr)
                print(f"repeat it with: python -m sim.reports.soak --{kind} {case.seed}", file=sys.stderr)
                raise SystemExit(1) from None
            print(
                f"{kind} {number}/{len(cases)}: seed {case.seed}, {case.configuration}, idle {case.idle}, stall "
                f"{case.stall}: {summaries[-1]['cycles']:,} cycles are right; {perf_counter() - began:,.0f} s",
                flush=True,
            )
    return summaries


def total(parts: list[dict[str, int]]) -> dict[str, int]:
    """Sum of counts by name."""
    return dict(sorted(sum((Counter(part) for part in parts), start=Counter[str]()).items()))


def figures(layers: list[dict[str, Any]], resets: list[dict[str, Any]]) -> dict[str, Any]:
    """What `docs/results/soak.json` says of a run that came to its end, so that nothing was wrong."""
    counts = total([summary["result"] for summary in layers])
    results = [summary["result"] for summary in resets]
    pairs = Counter(f"{case.idle} / {case.stall}" for case in cases("layers"))
    return {
        "simulator": "Verilator on the emitted latte_top, driven by latte_hw.driver through cocotbext-axi",
        "seeds": len(layers),
        "elements": counts["elements"],
        "mismatches": 0,
        "lost_or_extra_beats": 0,
        "counts": counts,
        "seeds_of_pairs_idle_stall": dict(pairs),
        "resets": {
            "seeds": len(resets),
            "recoveries": sum(result["resets"] for result in results),
            "wrong_first_results": 0,
            "moments": total([result["moments"] for result in results]),
            "kinds": total([result["kinds"] for result in results]),
        },
        "cycles": sum(summary["cycles"] for summary in (*layers, *resets)),
        "simulation_seconds": round(sum(summary["seconds"] for summary in (*layers, *resets))),
        "formula": FORMULA,
        "configurations": {
            name: {"sha256": config.sha256(), **config.model_dump(mode="json", exclude_defaults=True)}
            for name, config in CONFIGURATIONS.items()
        },
    }


def main(
    layers: Annotated[int | None, typer.Option(metavar="SEED", help="Run this seed of the layers alone.")] = None,
    resets: Annotated[int | None, typer.Option(metavar="SEED", help="Run this seed of the resets alone.")] = None,
) -> None:
    """Everything, or one seed that was wrong."""
    if layers is not None or resets is not None:
        for kind, seed in (("layers", layers), ("resets", resets)):
            if seed is not None:
                print(soak(kind, [KINDS[kind][0](seed)]))
        return
    workers = os.cpu_count() or 1
    found = figures(*(soak(kind, cases(kind), workers) for kind in KINDS))
    path = write_result("soak", "python -m sim.reports.soak", found)
    print(f"{found['elements']:,} elements of {found['seeds']} seeds equal golden; {path.name} written")


if __name__ == "__main__":
    terminal.run(lambda: typer.run(main), "sim.reports.soak")
