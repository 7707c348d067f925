"""`python -m sim.reports.bounds`: every documented bound on cycles against seeded random jobs and streams.

The cycles come from `latte_hw.estimate`, which is exact (`python -m sim.reports.estimate_cycles`); the tightest and
some other cases of every bound are run on the emitted Verilog too. A job is made of a few kinds of rows
(:mod:`sim.reports.rows`), in an order of its own, so that tensors exist for every one of them. Written to
`docs/results/bounds.json`; exit code 1 if a bound does not hold, or if the Verilog takes other cycles than the estimate
says.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from statistics import median
from typing import Any

from golden.analysis.cycles import head_cycles, query_cycles
from latte_hw.config import DenseConfig, LatteConfig
from latte_hw.config.top import TopConfig
from latte_hw.estimate.cycles import cycles_of
from latte_hw.estimate.page import fill
from latte_hw.host import terminal
from latte_hw.params import HeadParams
from latte_hw.params.dense import DenseParams
from latte_hw.system.latency import LayerTiming
from sim.reports.results import write_result
from sim.reports.rows import Job, random_job, repeating_job
from sim.simulate import simulate
from sim.simulators.builds import SIMULATORS

SEED = 1
PATTERNS = {"first output": 1, "job": 5, "stream": 1, "dense job": 1, "dense stream": 1, "decode": 1}
"""Bounds, and how many of ten patterns are drawn for each."""


@dataclass(frozen=True)
class Found:
    """What one pattern took, and what its bound allows; both in cycles."""

    bound: str
    number: int
    cycles: int
    allowed: int

    @property
    def ratio(self) -> float:
        return self.cycles / self.allowed


def first_output(job: Job) -> tuple[int, int]:
    """A head's first output against `Bounds.query_latency`."""
    params, kept = HeadParams(job.config), job.pattern.kept.sum(axis=1)
    scan = slice(0, job.config.queries_per_scan)
    valid = job.pattern.valid[scan]
    allowed = params.bounds.query_latency(int(valid.max()), int(kept[scan].max()), len(valid))
    return cycles_of(job.pattern, job.config).first, allowed


def whole_job(job: Job) -> tuple[int, int]:
    """A head's last output against `golden.analysis.cycles.head_cycles`."""
    pattern = job.pattern
    left = cycles_of(pattern, job.config).left
    return int(left[-1]), head_cycles(pattern.valid, pattern.kept.sum(axis=1), HeadParams(job.config))


def stream(job: Job) -> tuple[int, int]:
    """The second half of a stream of repeating rows against the sum of `Bounds.cycles_per_query`."""
    pattern = job.pattern
    left = cycles_of(pattern, job.config).left
    half = pattern.queries // 2  # a whole number of scans
    allowed = query_cycles(pattern.valid, pattern.kept.sum(axis=1), HeadParams(job.config))[half:].sum()
    return int(left[-1] - left[half - 1]), round(allowed)


def dense_job(job: Job) -> tuple[int, int]:
    """The dense core's last output against `DenseParams.job_latency`."""
    config, valid = DenseConfig.of(job.config), job.pattern.valid
    params, left = DenseParams.of(config), cycles_of(job.pattern, config).left
    ends = [min(first + params.block_rows, len(valid)) - 1 for first in range(0, len(valid), params.block_rows)]
    return int(left[-1]), params.job_latency(len(valid), [int(valid[end]) for end in ends])


def dense_stream(job: Job) -> tuple[int, int]:
    """The second half of a stream of blocks that see equally many keys against `DenseParams.cycles_per_block` each."""
    config, valid = DenseConfig.of(job.config), job.pattern.valid
    params, left = DenseParams.of(config), cycles_of(job.pattern, config).left
    half = len(valid) // 2
    blocks = params.blocks(len(valid) - half)
    return int(left[-1] - left[half - 1]), blocks * params.cycles_per_block(int(valid[-1]))


def decode(job: Job) -> tuple[int, int]:
    """The share of one head core in `LayerTiming.decode_cycles`: the query heads of its K/V head, a query each, without
    the transfers, which only the multi-head core's own bench measures."""
    fields = {name: value for name, value in job.config.model_dump().items() if name in TopConfig.model_fields}
    timing, pattern = LayerTiming(TopConfig(**fields)), job.pattern
    kept, survivors = pattern.kept.sum(axis=1).tolist(), job.survivors.tolist()
    allowed = timing.decode_cycles(len(kept), int(pattern.valid.max()), kept, survivors) - timing.append_transfer(
        len(kept)
    )
    return int(cycles_of(pattern, job.config).left[-1]), allowed


MEASURES: dict[str, Callable[[Job], tuple[int, int]]] = {
    "first output": first_output, "job": whole_job, "stream": stream,
    "dense job": dense_job, "dense stream": dense_stream, "decode": decode,
}  # fmt: skip


def job_of(bound: str, number: int, seed: int = SEED) -> Job:
    """Pattern ``number`` of a bound."""
    text = f"{seed} {bound} {number}"
    match bound:
        case "stream":
            return repeating_job(text)
        case "dense stream":
            return repeating_job(text, dense=True)
        case "decode":
            return random_job(text, decode=True)
        case _:
            return random_job(text)


def measure(bound: str, number: int, seed: int = SEED) -> Found:
    """One pattern against its bound."""
    return Found(bound, number, *MEASURES[bound](job_of(bound, number, seed)))


def search(patterns: int, seed: int, workers: int = 1) -> list[Found]:
    """Random patterns for every bound, ``patterns`` in all."""
    todo = [(bound, number) for bound, tenths in PATTERNS.items() for number in range(-(-patterns * tenths // 10))]
    one = partial(_measure, seed)
    if workers == 1:
        return list(map(one, todo))
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(one, todo, chunksize=16))


def _measure(seed: int, case: tuple[str, int]) -> Found:
    return measure(*case, seed)


def summary(found: Iterable[Found], seed: int) -> dict[str, Any]:
    """Per bound: patterns, violations, and how close the cycles come to it."""
    figures: dict[str, Any] = {}
    for bound, measured in MEASURES.items():
        own = sorted((one for one in found if one.bound == bound), key=lambda one: one.ratio)
        figures[bound] = {
            "compared": " ".join((measured.__doc__ or "").split()),
            "patterns": len(own),
            "violations": sum(one.cycles > one.allowed for one in own),
            "greatest_ratio": round(own[-1].ratio, 4),
            "median_ratio": round(median(one.ratio for one in own), 4),
            "tightest": [{"number": one.number, "cycles": one.cycles, "bound": one.allowed,
                          **job_of(bound, one.number, seed).description} for one in own[:-4:-1]],
        }  # fmt: skip
    return figures


def on_verilog(bound: str, number: int, seed: int = SEED, simulator: str = "icarus") -> dict[str, Any]:
    """A case on the emitted Verilog: whether every output row leaves in the estimated cycle."""
    job = job_of(bound, number, seed)
    config = DenseConfig.of(job.config) if bound.startswith("dense") else job.config
    got = simulate(job.tensors(), config, simulator=simulator, taps=False)
    left = got["query_cycles"][0] - got["query_start"][0, 0]
    return {"bound": bound, "number": number, "queries": len(left), "last_output": int(left[-1]),
            "equal": bool((left == cycles_of(job.pattern, config).left).all())}  # fmt: skip


def confirm(found: list[Found], each: int, seed: int, simulator: str) -> list[dict[str, Any]]:
    """The ``each`` tightest cases of every bound that are quick to simulate, and as many others, the first drawn."""
    rows = []
    for bound in MEASURES:
        drawn = [one for one in found if one.bound == bound]
        tightest = _small(sorted(drawn, key=lambda one: -one.ratio), each, seed)
        others = _small([one for one in drawn if one not in tightest], each, seed)
        for one in tightest + others:
            rows.append(on_verilog(bound, one.number, seed, simulator))
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def _small(found: Iterable[Found], most: int, seed: int) -> list[Found]:
    return list(islice((one for one in found if _is_small(job_of(one.bound, one.number, seed))), most))


def _is_small(job: Job) -> bool:
    config: LatteConfig = job.config
    units = config.head_dim * (config.keys_per_cycle + 3 * config.queries_per_scan * config.kept_per_cycle)
    return job.realisable and units <= 500 and math.prod(job.shape) <= 4_000


def table(bounds: dict[str, Any]) -> str:
    """The summary for the page."""
    rows = ["| bound | patterns | above it | greatest cycles / bound | median |", "|---|---:|---:|---:|---:|"]
    for name, row in bounds.items():
        figures = f"{row['patterns']:,} | {row['violations']} | {row['greatest_ratio']:.3f} | {row['median_ratio']:.3f}"
        rows.append(f"| {name} | {figures} |")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description="Every documented bound on cycles against random jobs and streams.")
    parser.add_argument("--patterns", type=int, default=6000, help="how many in all")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument(
        "--verilog", type=int, default=1, help="tightest, and other, cases of each bound on the Verilog"
    )
    parser.add_argument("--simulator", default="icarus", choices=SIMULATORS)
    asked = parser.parse_args()
    began = time.perf_counter()
    found = search(asked.patterns, asked.seed, asked.workers)
    bounds = summary(found, asked.seed)
    page = table(bounds)
    print(page, flush=True)
    fill("bounds", f"\n{page}\n")
    figures = {"seed": asked.seed, "patterns": len(found), "seconds": round(time.perf_counter() - began),
               "ratio": "cycles / bound", "violations": sum(row["violations"] for row in bounds.values()),
               "bounds": bounds}  # fmt: skip
    write_result("bounds", "python -m sim.reports.bounds", figures)  # simulation takes long: what is known is kept
    figures["verilog"] = simulated = confirm(found, asked.verilog, asked.seed, asked.simulator)
    print(f"written to docs/results/{write_result('bounds', 'python -m sim.reports.bounds', figures).name}")
    return int(figures["violations"] > 0 or not all(row["equal"] for row in simulated))


if __name__ == "__main__":
    terminal.run(main, "sim.reports.bounds")
