"""`python -m sim.reports.estimate_cycles`: the cycles of `latte estimate` against simulation, query by query.

Every case is one head of seeded random tensors. The golden model says which keys are kept, the estimate says when every
output row leaves, and so does the emitted Verilog; all of them must be equal. Written to
`docs/results/estimate-cycles.json`.
"""

import sys
import time
from dataclasses import dataclass, field
from typing import Any

from golden.files.stimuli import random_trace
from golden.files.tensors import TensorFile, from_arrays
from latte_hw.config import Core, CoreConfig, Datapath, DenseConfig, Dot, LatteConfig, Rule
from latte_hw.config.presets import preset
from latte_hw.estimate.cycles import Cycles, cycles_of
from latte_hw.estimate.page import fill
from latte_hw.estimate.pattern import Pattern, everything, from_estimates, visible_keys
from latte_hw.host import terminal
from sim.reports.results import write_result
from sim.simulate import expect, simulate

SEED = 1
BASE = LatteConfig(head_dim=8, max_keys=32, keys_per_cycle=2, causal=True, heads=4)


@dataclass(frozen=True)
class Case:
    """One head: how its core differs from `BASE` (or from a preset), and what it works on."""

    changes: dict[str, Any] = field(default_factory=dict)
    queries: int = 24
    keys: int = 30
    keep: float = 0.2
    core: Core = Core.LATTE
    preset: str | None = None
    simulator: str = "icarus"

    @property
    def config(self) -> CoreConfig:
        base = preset(self.preset) if self.preset else BASE
        dense = self.core.datapath is Datapath.DENSE
        return (DenseConfig.of(base) if dense else base).replace(**self.changes)

    def tensors(self) -> TensorFile:
        trace = random_trace(self.config, SEED, 1, 1, self.queries, self.keys, keep=self.keep)
        return from_arrays(trace, self.config)


CASES = (
    Case(keep=0.05),
    Case(keep=1),
    Case({"causal": False}),
    Case({"keys_per_cycle": 1}, keep=0.5),
    Case({"keys_per_cycle": 3, "max_keys": 33}),
    Case({"keys_per_cycle": 16, "max_keys": 64, "causal": False}, 20, 60),
    Case({"msb_bits": 8}),
    Case({"msb_bits": 2, "rule": Rule.STATIC}),
    Case({"dot": Dot.MULTIPLIERS, "head_dim": 12}),
    Case({"table_queries": 1, "head_dim": 20}, keep=0.4),
    Case({"table_dims": 3}, 10, 32),
    Case({"queries_per_scan": 3}, 20, 30),
    Case({"queries_per_scan": 2, "table_queries": 1, "causal": False}, 15, 32, 0.6),
    Case(
        {"queries_per_scan": 3, "table_queries": 1, "reuse_table_dims": 3, "reuse_table_queries": 2, "causal": False},
        20,
        31,
    ),
    Case({"table_dims": 3, "reuse_table_dims": 4, "reuse_table_queries": 1}, 20, 32, 0.7),
    Case({"queries_per_scan": 5, "msb_bits": 8, "keys_per_cycle": 4}, 18, 29),
    Case({"max_keys": 256, "keys_per_cycle": 4}, 40, 250, 0.1),
    Case({"max_keys": 256, "keys_per_cycle": 4, "causal": False}, 20, 256, 1),
    Case({"max_keys": 128, "keys_per_cycle": 8, "out_fraction_bits": 5, "prob_bits": 12}, 100, 128, 0.15),
    Case({"max_keys": 128, "keys_per_cycle": 8, "queries_per_scan": 2, "causal": False}, 40, 121, 0.3),
    Case({"head_dim": 36, "keys_per_cycle": 4}, 16, 30),
    Case({}, 1, 30),
    Case({"kept_per_cycle": 2, "max_keys": 128, "keys_per_cycle": 8, "causal": False}, 30, 128, 0.25),
    Case({"kept_per_cycle": 2, "keys_per_cycle": 1}, keep=0.7),
    Case({"kept_per_cycle": 2, "msb_bits": 8, "keys_per_cycle": 3, "max_keys": 33}, 24, 33, 0.5),
    Case({"kept_per_cycle": 2, "table_queries": 1, "rule": Rule.STATIC, "head_dim": 20}, keep=1),
    Case({"kept_per_cycle": 2, "max_keys": 256, "keys_per_cycle": 4, "causal": False}, 20, 256, 1),
    Case({"kept_per_cycle": 2, "keys_per_cycle": 12, "max_keys": 60}, 60, 60, 0.5),
    Case({"kept_per_cycle": 2, "keys_per_cycle": 12, "max_keys": 120, "causal": False}, 50, 40, 1),
    Case(core=Core.DENSE),
    Case({"causal": False, "queries_per_scan": 3}, 20, 32, core=Core.DENSE),
    Case({"dot": Dot.MULTIPLIERS, "queries_per_scan": 9}, 30, 31, core=Core.DENSE),
    Case({"table_queries": 1, "max_keys": 128}, 20, 100, core=Core.DENSE),
    Case({"table_dims": 3, "queries_per_scan": 2, "head_dim": 20}, 11, 24, core=Core.DENSE),
    Case({}, 200, 1000, 0.15, preset="gpt2", simulator="native"),
    Case({}, 60, 500, 0.1, preset="minilm", simulator="native"),
)


def pattern_of(case: Case, tensors: TensorFile) -> Pattern:
    """What the golden model's estimates keep; of a dense core every valid key."""
    config = case.config
    valid = visible_keys(config, case.queries, case.keys, int(tensors.causal_offset))
    if not isinstance(config, LatteConfig):
        return everything(valid)
    results = expect(tensors, config)
    return from_estimates(results["estimate"][0], float(tensors.tau_int[0]), config, valid)


def compare(case: Case, simulator: str | None = None) -> tuple[Cycles, Cycles, float, float]:
    """Estimated and simulated cycles, keep ratio, and the milliseconds that the estimate took."""
    tensors = case.tensors()
    pattern = pattern_of(case, tensors)
    began = time.perf_counter()
    estimated = cycles_of(pattern, case.config)
    milliseconds = 1e3 * (time.perf_counter() - began)
    got = simulate(tensors, case.config, simulator=simulator or case.simulator, taps=False)
    simulated = Cycles(got["query_cycles"][0] - got["query_start"][0, 0])
    return estimated, simulated, pattern.keep_ratio, milliseconds


def main() -> int:
    """Every case; exit code 1 if one differs."""
    rows, different = [], 0
    for number, case in enumerate(CASES):
        estimated, simulated, keep_ratio, milliseconds = compare(case)
        equal = bool((estimated.left == simulated.left).all())
        different += not equal
        changes = {name: getattr(value, "value", value) for name, value in case.changes.items()}
        rows.append(
            {
                "core": case.core.value, "preset": case.preset, "changes": changes, "simulator": case.simulator,
                "queries": case.queries, "keys": case.keys, "keep_ratio": round(keep_ratio, 4), "equal": equal,
                "estimate": estimated.total, "simulation": simulated.total,
                "per_query": round(simulated.per_query, 3), "estimate_milliseconds": round(milliseconds, 1),
            }
        )  # fmt: skip
        print(f"{number + 1}/{len(CASES)}: {rows[-1]}", file=sys.stderr, flush=True)
    figures = {"seed": SEED, "compared": "the cycle of every output row", "base": BASE.model_dump(mode="json"),
               "different": different, "cases": rows}  # fmt: skip
    fill("cycles", f" {len(CASES)} ")
    path = write_result("estimate-cycles", "python -m sim.reports.estimate_cycles", figures)
    print(f"written to docs/results/{path.name}")
    return int(different > 0)


if __name__ == "__main__":
    terminal.run(main, "sim.reports.estimate_cycles")
