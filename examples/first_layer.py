"""The first layer on a multi-head core, in simulation: generate one, then run it with the driver that a board runs.

    latte generate --core top --preset tiny --set cores=2 -o build/top
    python examples/first_layer.py build/top [icarus | verilator]

`first_layer` needs nothing but a driver: see docs/integration.md for the lines that make one on a board.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from latte_hw.driver import Latte


def first_layer(latte: Latte, heads: int = 4, kv_heads: int = 2, seed: int = 1) -> dict[str, Any]:
    """A layer of random numbers, then two tokens more: what the counters say, and the mean error against float64."""
    rng = np.random.default_rng(seed)
    keys = latte.config.max_keys // 2
    q, k, v = (rng.standard_normal((n, keys + 2, latte.config.head_dim)) for n in (heads, kv_heads, kv_heads))

    # int8 with one step per head. The greatest magnitude is 127, but of q and k in the balanced split 119.
    greatest = latte.params.widths.greatest
    (q8, scale_q), (k8, scale_k), (v8, scale_v) = (
        quantise(x, greatest(name)) for name, x in zip("qkv", (q, k, v), strict=True)
    )
    tau = np.full(heads, 2.0)  # keep the keys whose estimate is within 2 of the row's best, in logits
    latte.load_thresholds(tau, scale_q=scale_q, scale_k=scale_k)

    out = latte.attention(q8[:, :keys], k8[:, :keys], v8[:, :keys], keep=True)
    decoded = [latte.append(q8[:, row], k8[:, row], v8[:, row]) for row in (keys, keys + 1)]

    group = heads // kv_heads
    step = np.repeat(scale_v, group)[:, None, None] / 2**latte.config.out_fraction_bits
    exact = softmax_attention(q[:, :keys], k[:, :keys].repeat(group, 0), v[:, :keys].repeat(group, 0), latte)
    counters = latte.counters()
    return {
        "output": list(out.shape),
        "decoded": [list(row.shape) for row in decoded],
        "keys_seen": counters["keys_seen"],
        "kept": counters["kept"],
        "cycles_busy": counters["cycles_busy"],
        "mean_error": round(float(np.abs(out * step - exact).mean()), 4),
    }


def quantise(x: np.ndarray, greatest: int) -> tuple[np.ndarray, np.ndarray]:
    """Heads of x as int8, and the step of each."""
    scale = np.abs(x).max(axis=(1, 2)) / greatest
    return np.rint(x / scale[:, None, None]).astype(np.int8), scale


def softmax_attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, latte: Latte) -> np.ndarray:
    """Attention in float64 over every key that a query sees."""
    score = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[2])
    if latte.config.causal:
        score = np.where(np.tri(q.shape[1], dtype=bool), score, -np.inf)
    weight = np.exp(score - score.max(axis=2, keepdims=True))
    return weight / weight.sum(axis=2, keepdims=True) @ v


def in_simulation(bench: Any) -> dict[str, Any]:
    """What the simulator runs; `bench.latte` is the driver, on the ports of the emitted Verilog."""
    return first_layer(bench.latte)


if __name__ == "__main__":
    from sim.top import runner as top_runner

    if len(sys.argv) not in (2, 3):
        sys.exit("usage: first_layer.py FOLDER [SIMULATOR], where latte generate --core top has written")
    folder, simulator = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) == 3 else "verilator"
    summary = top_runner.run_generated(folder, "examples.first_layer:in_simulation", simulator=simulator)
    for name, value in summary["result"].items():
        print(f"{name}: {value}")
    print(f"{summary['cycles']} clock cycles simulated")
