"""Scenario for :mod:`sim.top.runner`: resets at random cycles of a layer; the first result after each is right."""

from collections import Counter
from random import Random
from typing import Any

import numpy as np

from golden.files.tensors import TensorFile
from latte_hw.driver.layers import packets_of
from sim.top.bench import TopBench
from sim.top.faults import LAYER
from sim.top.layers import check, run_layer, tensors_of

SOFT, HARD = "soft", "hard"
LONGEST_RESET = 4
"""Cycles for which the reset port is held active, at most."""


def resets(bench: TopBench, resets: int, draws: int) -> dict[str, Any]:
    """Soft resets, by register, and hard ones, by the port, one to three of them back to back, `resets` times.

    They come at any cycle from START to a while after the layer's end, more often early. Behind each the same layer
    runs at once, with the thresholds from before the reset, and must equal golden. Counts where in the layer the resets
    came: `load`, keys or values were still to be taken; `run`; `output`, a packet had begun to come; `idle`, all had.
    """
    layer, draw = tensors_of(bench.config, **LAYER), Random(draws)
    run_layer(bench, layer)
    begun = bench.transport.cycle
    check(bench, layer, bench.latte.attention(layer.q8, layer.k8, layer.v8))
    duration = bench.transport.cycle - begun
    moments: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for _ in range(resets):
        begin(bench, layer, keep=draw.randrange(2))
        bench.transport.wait_cycles(1 + int(duration * draw.random() ** 2))
        moments[moment(bench, layer)] += 1
        in_a_row = draw.choice((1, 1, 1, 2, 3))
        for again in range(in_a_row):
            kind = draw.choice((SOFT, HARD))
            kinds[kind] += 1
            if again and draw.random() < 0.5:
                bench.transport.wait_cycles(1 + draw.randrange(8))
            if kind == SOFT:
                bench.latte.soft_reset()
            else:
                bench.transport.hard_reset(1 + draw.randrange(LONGEST_RESET))
                bench.latte = bench.new_driver()
        kinds["back to back"] += in_a_row > 1
        assert bench.latte.registers.read("status") == {"busy": 0, "idle": 1, "done": 0}
        assert bench.latte.registers.error_bits() == []
        check(bench, layer, bench.latte.attention(layer.q8, layer.k8, layer.v8))
        assert bench.latte.counters()["queries"] == layer.q8.shape[0] * layer.q8.shape[1], "counters not cleared"
    return {"resets": resets, "moments": dict(moments), "kinds": dict(kinds)}


def begin(bench: TopBench, layer: TensorFile, keep: int) -> None:
    """START the layer and queue its packets, without waiting for anything."""
    write = bench.latte.registers.write
    (heads, n_queries, _), (kv_heads, n_keys, _) = layer.q8.shape, layer.k8.shape
    write("layer_heads", heads=heads, group_size=heads // kv_heads)
    write("layer_lengths", n_queries=n_queries, n_keys=n_keys)
    write("causal_offset", offset=layer.causal_offset if bench.config.causal else bench.config.max_keys)
    write("control", start=1, keep=keep if kv_heads <= bench.config.cores else 0)
    for name, rows in (("k", layer.k8), ("v", layer.v8), ("q", layer.q8)):
        for packet in packets_of(np.asarray(rows), bench.config):
            bench.transport.send(name, packet)


def moment(bench: TopBench, layer: TensorFile) -> str:
    """What the layer that :func:`begin` has begun is doing."""
    unsent, sink = bench.transport.unsent(), bench.transport.sink
    if sink.count() == len(packets_of(layer.q8, bench.config)):
        return "idle"
    if sink.count() or not sink.idle():
        return "output"
    return "load" if unsent["k"] or unsent["v"] else "run"
