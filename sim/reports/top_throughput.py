"""`make throughput`: how much faster two and four head cores run the same layer than one.

The emitted Verilog under Verilator, through the driver, its output held against golden; streams of 512 bits that are
never stalled. Writes docs/results/top_throughput.json; exits with 1 if a bound of `LEAST_TIMES` is missed.

`share_stalled_input` is the share of busy cycles in which no core had a query to work on or pending. With two K/V
buffers it is one load of K and V, before the first query: every later load is hidden. A core that
takes no query because its own filter, reuse datapath or sums are behind does not count: it waits for itself.
"""

import sys
from typing import Any

from latte_hw.config.presets import preset
from latte_hw.config.top import TopConfig
from latte_hw.host import terminal
from sim.reports.results import write_result
from sim.top import runner as top_runner

PRESET, STREAM_BITS, CORES = "minilm", 512, (1, 2, 4)
LEAST_TIMES = {2: 1.95, 4: 3.8}
"""Queries per cycle, in those of one core."""

LAYER = {"shape": "random", "heads": 24, "kv_heads": 24, "n_queries": 256, "n_keys": 256}


def measure(cores: int) -> dict[str, Any]:
    """Cycles and stalls of the layer."""
    config = TopConfig(**preset(PRESET).model_dump(), cores=cores, stream_bits=STREAM_BITS)
    counters = top_runner.run(config, "sim.top.layers:layers", shapes=[LAYER])["result"]["counters"]
    cycles = counters["cycles_busy"]
    return {
        "cores": cores,
        "cycles": cycles,
        "queries_per_cycle": counters["queries"] / cycles,
        "share_stalled_input": counters["stalled_input"] / cycles,
        "share_stalled_output": counters["stalled_output"] / cycles,
        "keep_ratio": counters["kept"] / counters["keys_seen"],
        "config_sha256": config.sha256(),
    }


def main() -> None:
    """Measure, print, write; exit code 1 if cores do not share the work."""
    rows: list[dict[str, Any]] = []
    for cores in CORES:
        rows.append(row := measure(cores))
        row["times_one_core"] = row["queries_per_cycle"] / rows[0]["queries_per_cycle"]
        row["least_times"] = LEAST_TIMES.get(cores, 1.0)
        print(f"{row['cores']} cores: {row['cycles']:,} cycles, {row['times_one_core']:.3f} times one core, "
              f"{row['share_stalled_input']:.2%} stalled on input")  # fmt: skip
    figures = {"preset": PRESET, "stream_bits": STREAM_BITS, "layer": LAYER, "runs": rows}
    write_result("top_throughput", "python -m sim.reports.top_throughput", figures)
    if missed := [row["cores"] for row in rows if row["times_one_core"] < row["least_times"]]:
        sys.exit(f"too slow with {' and '.join(map(str, missed))} cores")


if __name__ == "__main__":
    terminal.run(main, "sim.reports.top_throughput")
