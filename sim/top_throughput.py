"""`python -m sim.top_throughput`: how much faster two and four head cores run the same layer than one.

The emitted Verilog under Verilator, through the driver, its output held against golden; streams of 512 bits that are
never held up. Writes docs/results/top_throughput.json.
"""

from typing import Any

from latte_hw.presets import preset
from latte_hw.top_config import TopConfig
from sim import top_runner
from sim.results import write_result

PRESET, STREAM_BITS, CORES = "minilm", 512, (1, 2, 4)
LAYER = {"shape": "random", "heads": 24, "kv_heads": 24, "n_queries": 256, "n_keys": 256}


def measure(cores: int) -> dict[str, Any]:
    """Cycles and stalls of the layer."""
    config = TopConfig(**preset(PRESET).model_dump(), cores=cores, stream_bits=STREAM_BITS)
    counters = top_runner.run(config, "sim.top_layers:layers", shapes=[LAYER])["result"]["counters"]
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
    rows = [measure(cores) for cores in CORES]
    for row in rows:
        row["times_one_core"] = row["queries_per_cycle"] / rows[0]["queries_per_cycle"]
        print(f"{row['cores']} cores: {row['cycles']:,} cycles, {row['times_one_core']:.3f} times one core, "
              f"{row['share_stalled_input']:.2%} stalled on input")  # fmt: skip
    figures = {"preset": PRESET, "stream_bits": STREAM_BITS, "layer": LAYER, "runs": rows}
    write_result("top_throughput", "python -m sim.top_throughput", figures)


if __name__ == "__main__":
    main()
