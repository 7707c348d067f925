"""`make bench`: the figures of one head, measured; kept as `docs/results/one_head.json`.

* golden model against PyTorch's float32 attention, in the same run, and its peak memory for 4096 × 4096;
* errors of the outputs against float64 softmax over the same kept scores;
* time to emit the Verilog of every preset, its size;
* cocotb over Verilator and the native simulator side by side, with a bare C++ loop over the same model: cycles per
  second;
* every preset, native, on a seeded trace of its full length: keys pruned, bit operations, cycles per query;
* a full causal 1024 × 1024 head of `gpt2` under cocotb and Verilator, build apart;
* cycles per query on the committed trace, against the bound of `Bounds.cycles_per_query`;
* latency of a single query against `Bounds.query_latency`.
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from golden.analysis import benchmark as golden_benchmark
from golden.analysis.accuracy import CONTRACT, output_errors
from golden.analysis.metrics import bit_operations, keep_ratio
from golden.attention import attention
from golden.files.stimuli import random_trace
from golden.files.tensors import TensorFile, from_arrays, load
from latte_hw.config import LatteConfig
from latte_hw.config.presets import PRESETS, preset
from latte_hw.emit import head as emit
from latte_hw.host import terminal
from latte_hw.params import HeadParams
from sim.head.harness import Options
from sim.head.traffic import Traffic
from sim.lib.layout import Description
from sim.lib.recording import first_difference_of
from sim.reports.measure import head_paces
from sim.reports.results import write_result
from sim.simulate import compare, simulate
from sim.simulators import builds, native, runner

ROOT = Path(__file__).parents[2]
TRACE = ROOT / "traces" / "smollm2-135m.npz"
PACED_PRESETS = ("gpt2", "deit-b16-384")
LIMITS = {"golden_over_torch": 10.0, "peak_mib_4096": 1024.0, "generate_gpt2_s": 15.0, "simulate_1024_s": 120.0}
PRESET_KEYS = {"deit-b16-384": 577}
SEED = 1

RACED = {"tiny": (100, 50, 32, 32), "gpt2": (1, 1, 512, 1024)}
"""Presets that the simulators race on: query heads, K/V heads, queries, keys."""

LEAST_SPEEDUP = {"tiny": 20.0, "gpt2": 10.0}
LEAST_OF_BARE = 0.8
"""Of the bare loop's cycles per second; on the full-size preset the native simulator needs this or the speed-up."""

ROUNDS = 3

console = Console()


def main() -> int:
    """Measure, print and write everything; exit code 1 if a limit is passed or anything differs."""
    figures: dict[str, Any] = {"seed": SEED, "limits": LIMITS}
    for name, measure in (
        ("golden", golden_benchmark.measure),
        ("accuracy", _accuracy),
        ("generate", _generate),
        ("simulators", _simulators),
        ("presets", _presets),
        ("simulate_1024", _simulate_1024),
        ("throughput", _throughput),
        ("single_query", _single_queries),
    ):
        console.print(f"[bold]{name}[/]")
        figures[name] = measure()
        console.print(figures[name])
    figures["failures"] = _failures(figures)
    path = write_result("one_head", "make bench", figures)
    console.print(f"written to {path.relative_to(ROOT)}")
    for failure in figures["failures"]:
        console.print(f"[red]{failure}")
    return 1 if figures["failures"] else 0


def _accuracy() -> dict[str, Any]:
    """Errors of the outputs on the committed trace against float64 softmax over the same kept scores."""
    results: dict[str, Any] = {"unit": "V's int8 step"}
    for prob_bits, (greatest, mean) in CONTRACT.items():
        config = preset("smollm2-135m").replace(prob_bits=prob_bits)
        errors = output_errors(load(TRACE, config), config)
        results[f"prob_bits_{prob_bits}"] = {
            "max": round(float(errors.max()), 4),
            "mean": round(float(errors.mean()), 4),
            "max_allowed": greatest,
            "mean_allowed": mean,
        }
    return results


def _generate() -> dict[str, Any]:
    """Seconds to emit each preset, and lines of its Verilog."""
    results = {}
    for name in PRESETS:
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            emitted = emit.generate(preset(name), Path(folder))
            seconds = time.perf_counter() - began
            results[name] = {"seconds": round(seconds, 2), "lines": emitted.verilog.read_text().count("\n")}
    return results


def _simulators() -> dict[str, Any]:
    """Cycles per second of cocotb, the native simulator and a bare loop over its model; free flow, the best of rounds.

    `calls`: wall-clock time from the traffic to the recording, as users have it; builds are not counted. `loops`:
    processor time of the clock cycles alone, without starting and ending.
    """
    results = {}
    for name, shape in RACED.items():
        config = preset(name)
        traffic = Traffic.from_tensors(from_arrays(random_trace(config, SEED, *shape), config))
        calls: dict[str, float] = {}
        loops: dict[str, float] = {}
        with tempfile.TemporaryDirectory() as folder:
            emitted = emit.generate(config, Path(folder), taps=True)
            description = Description.load(emitted.description)
            design = native.Design(native.build(emitted.verilog, description), description)
            builds.build(emitted.verilog, description.top, "verilator")
            for _ in range(ROUNDS):
                recordings = []
                for which, run in (("cocotb", runner.run), ("native", native.run)):
                    began = time.perf_counter()
                    recordings.append(run(emitted.verilog, emitted.description, traffic, Options()))
                    cycles, seconds = recordings[-1].cycles, time.perf_counter() - began
                    calls[which] = max(calls.get(which, 0.0), cycles / seconds)
                    loops[which] = max(loops.get(which, 0.0), cycles / recordings[-1].seconds)
                loops["bare"] = max(loops.get("bare", 0.0), design.bare_rate(traffic, recordings[0].cycles))
        results[name] = {
            "heads, K/V heads, queries, keys": shape,
            "cycles": [recording.cycles for recording in recordings],
            "cycles_per_second": {
                "calls": {which: round(rate) for which, rate in calls.items()},
                "loops": {which: round(rate) for which, rate in loops.items()},
            },
            "native_over_cocotb": round(calls["native"] / calls["cocotb"], 2),
            "native_over_cocotb_loops": round(loops["native"] / loops["cocotb"], 2),
            "native_over_bare_loop": round(loops["native"] / loops["bare"], 3),
            "difference": first_difference_of(*recordings),
        }
    return results


def _presets() -> dict[str, Any]:
    """The last 512 queries (or all) of a head of full length (577 keys for DeiT-B16), about 15 % of the keys kept."""
    results = {}
    for name in PRESETS:
        config = preset(name)
        keys = PRESET_KEYS.get(name, config.max_keys)
        queries = min(512, keys)
        tensors = from_arrays(random_trace(config, SEED, 1, 1, queries, keys, keep=0.15), config)
        expected = attention(tensors, config)
        got = simulate(tensors, config, simulator="native")
        seen, _, kept = (int(count) for count in expected["counters"][0])
        pace = head_paces(got, expected["keep"], tensors.causal_offset, config)[0]
        results[name] = {
            "queries": queries,
            "keys": keys,
            "counted": "valid pairs",
            "keys_pruned": round(1 - keep_ratio(seen, kept), 4),
            "bit_operation_change": round(bit_operations(seen, kept, HeadParams(config)).change, 4),
            "bit_operation_formula": bit_operations(seen, kept, HeadParams(config)).formula,
            "cycles_per_query": round(pace.cycles_per_query, 2),
            "bound": round(pace.bound, 2),
            "difference": compare(expected, got),
        }
    return results


def _simulate_1024() -> dict[str, Any]:
    """A full causal head of `gpt2`: 1024 queries, 1024 keys, every stage compared. The first run builds."""
    config = preset("gpt2")
    tensors = from_arrays(random_trace(config, SEED, 1, 1, 1024, 1024), config)
    began = time.perf_counter()
    simulate(from_arrays(random_trace(config, SEED, 1, 1, 1, 8), config), config)
    built = time.perf_counter()
    got = simulate(tensors, config)
    done = time.perf_counter()
    cycles = int(got["cycles_total"])
    return {
        "build_s": round(built - began, 1),
        "simulate_s": round(done - built, 1),
        "cycles": cycles,
        "cycles_per_second": round(cycles / (done - built)),
        "difference": compare(attention(tensors, config), got),
    }


def _throughput() -> dict[str, Any]:
    """Cycles per query on the committed trace, free flow, per head."""
    results = {}
    for name in PACED_PRESETS:
        config = preset(name)
        tensors = load(TRACE, config)
        expected = attention(tensors, config)
        got = simulate(tensors, config, simulator="native")
        paces = head_paces(got, expected["keep"], tensors.causal_offset, config)
        results[name] = {
            "formula": "mean of max(ceil(valid / P), kept, F) + c over the queries of a head",
            "counted": "valid pairs",
            "queries_per_head": int(tensors.q8.shape[1]),
            "cycles_per_query": [round(pace.cycles_per_query, 2) for pace in paces],
            "bound": [round(pace.bound, 2) for pace in paces],
            "difference": compare(expected, got),
        }
    return results


def _single_queries() -> dict[str, Any]:
    """Latency of a single query against all keys, per preset that the committed trace fits."""
    results = {}
    for name in PACED_PRESETS:
        config = preset(name)
        tensors = _last_query(load(TRACE, config))
        expected = attention(tensors, config)
        got = simulate(tensors, config, simulator="native")
        latency = (got["query_cycles"] - got["query_start"])[:, 0]
        results[name] = {"latency": latency.tolist(), "bound": _latency_bounds(expected, config)}
    return results


def _last_query(tensors: TensorFile) -> TensorFile:
    return replace(tensors, q8=tensors.q8[:, -1:], causal_offset=tensors.k8.shape[1] - 1)


def _latency_bounds(expected: dict[str, np.ndarray], config: LatteConfig) -> list[int]:
    params, keys = HeadParams(config), expected["keep"].shape[2]
    return [params.bounds.query_latency(keys, int(kept)) for kept in expected["keep"].sum(axis=(1, 2))]


def _failures(figures: dict[str, Any]) -> list[str]:
    measured = {
        "golden_over_torch": figures["golden"]["ratio"],
        "peak_mib_4096": figures["golden"]["peak_mib_4096"],
        "generate_gpt2_s": figures["generate"]["gpt2"]["seconds"],
        "simulate_1024_s": figures["simulate_1024"]["simulate_s"],
    }
    failures = [
        f"{name} is {value}, more than {LIMITS[name]}" for name, value in measured.items() if value > LIMITS[name]
    ]
    for kind in ("simulators", "presets", "throughput"):
        runs = figures[kind].items()
        failures += [f"{kind}, {name}: {run['difference']}" for name, run in runs if run["difference"] is not None]
    if (difference := figures["simulate_1024"]["difference"]) is not None:
        failures.append(f"simulate_1024: {difference}")
    failures += _slow_simulators(figures["simulators"])
    for name, run in figures["presets"].items():
        if run["cycles_per_query"] > run["bound"]:
            failures.append(f"{name}: {run['cycles_per_query']} cycles per query, bound {run['bound']}")
    for name, run in figures["throughput"].items():
        pairs = zip(run["cycles_per_query"], run["bound"], strict=True)
        failures += [f"{name}: {got} cycles per query, bound {bound}" for got, bound in pairs if got > bound]
    for name, run in figures["single_query"].items():
        pairs = zip(run["latency"], run["bound"], strict=True)
        failures += [f"{name}: latency {got}, bound {bound}" for got, bound in pairs if got > bound]
    return failures


def _slow_simulators(races: dict[str, Any]) -> list[str]:
    failures = []
    for name, race in races.items():
        speedup, of_bare = race["native_over_cocotb"], race["native_over_bare_loop"]
        if speedup < LEAST_SPEEDUP[name] and (name == "tiny" or of_bare < LEAST_OF_BARE):
            failures.append(
                f"{name}: native has {speedup} times the cycles per second of cocotb, {of_bare} of the loop's"
            )
    return failures


if __name__ == "__main__":
    terminal.run(main, "sim.reports.benchmark")
