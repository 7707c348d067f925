"""Scenarios for :mod:`sim.top.runner`: thresholds that software writes at any moment are those of the next START."""

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np

from golden.files.tensors import TensorFile
from sim.top.bench import TopBench
from sim.top.layers import check, run_layer, tensors_of

HEADS = 16
LAYER: dict[str, Any] = {"shape": "random", "heads": HEADS, "kv_heads": HEADS, "n_queries": 4, "n_keys": 11}


def written_behind_start(bench: TopBench, layers: int, draws: int) -> dict[str, Any]:
    """After each START, at once or some cycles later, thresholds of some heads are written, which the layer must not
    see and the next one must; some STARTs are refused, and lose nothing of it.

    The core checks a START for as many cycles as there are K/V heads, so that a write may come in that time.
    """
    draw, registers = Random(draws), bench.latte.registers
    layer = tensors_of(bench.config, **LAYER)
    write, refused = registers.write, 0
    run_layer(bench, layer)
    for _ in range(layers):
        if draw.random() < 0.5:
            write("layer_lengths", n_queries=4, n_keys=11)
            write("layer_heads", heads=HEADS, group_size=3)  # does not divide: refused at the end of the check
            write("control", start=1)
            layer = rewritten(bench, layer, draw)
            while registers.read("status")["busy"]:
                pass
            assert registers.error_bits() == ["length_too_large"]
            refused += 1
        shared = draw.random() < 0.5  # one K/V head: checked in a few cycles
        running = replace(layer, k8=layer.k8[:1], v8=layer.v8[:1]) if shared else layer
        coming: list[TensorFile] = []

        def write_and_more(path: str, before: TensorFile = layer, to: list[TensorFile] = coming, **values: int) -> None:
            write(path, **values)
            if path == "control" and values.get("start"):
                bench.transport.wait_cycles(1 + draw.randrange(12))
                to.append(rewritten(bench, before, draw))

        registers.write = write_and_more  # type: ignore[method-assign, assignment]
        out = bench.latte.attention(running.q8, running.k8, running.v8)
        registers.write = write  # type: ignore[method-assign]
        check(bench, running, out)
        (layer,) = coming
    return {"refused": refused}


def rewritten(bench: TopBench, layer: TensorFile, draw: Random) -> TensorFile:
    """The layer with other thresholds for some heads, which are written now."""
    tau = np.array(layer.tau_int)
    for head in draw.sample(range(HEADS), 3):
        tau[head] = draw.choice([0, 40, 100, 10_000]) % (bench.latte.params.widths.threshold_range[1] + 1)
        bench.transport.write32(bench.latte.registers.view.address(f"head_table[{head}].threshold"), int(tau[head]))
    return replace(layer, tau_int=tau)
