"""Scenario for :mod:`sim.top.runner`: random layers and steps of decoding, one after the other, equal to golden."""

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np

from golden.attention import attention
from golden.files.stimuli import random_trace
from golden.files.tensors import TensorFile, from_arrays
from latte_hw.config.top import Packets
from latte_hw.params import ceil_div
from sim.top.bench import TopBench
from sim.top.layers import check, run_layer

KEEP_RATIOS = (0.03, 0.15, 0.15, 0.5, 1.0)
MOST_KV_HEADS = 6
GROUPS = (1, 1, 2, 3)
MOST_TOKENS = 6
"""Steps of decoding behind a layer, at most."""


def play(bench: TopBench, elements: int, draws: int) -> dict[str, Any]:
    """Layers until so many output elements have been compared; totals of everything that passed.

    The core's counters must be golden's; as many output beats must come as the rows fill, and no input may be left.
    """
    draw, totals = Random(draws), Counter[str]()
    before = bench.latte.counters()
    while totals["elements"] < elements:
        mask, tensors, decodes = draw_layer(bench, draw)
        totals[f"layers, {mask}"] += 1
        run_layer(bench, tensors, keep=decodes)
        note(bench, totals, tensors, attention(tensors, bench.config))
        if decodes:
            decode(bench, draw, totals, tensors)
    after = bench.latte.counters()
    for name in ("queries", "keys_seen", "survivors", "kept"):
        counted = after[name] - before[name]
        assert counted == totals[name], f"the core counts {counted} {name}, golden {totals[name]}"
    received = bench.transport.received_beats
    assert received == totals["output_beats"], f"{received} output beats came, not {totals['output_beats']}"
    waits = {name: after[name] - before[name] for name in ("cycles_busy", "stalled_input", "stalled_output")}
    return dict(totals) | waits


def draw_layer(bench: TopBench, draw: Random) -> tuple[str, TensorFile, bool]:
    """Name of the mask, tensors, and whether K and V stay for steps of decoding.

    `padding`: of as many keys as queries, the last do not exist.
    """
    config = bench.config
    kv_heads, group = draw.randint(1, MOST_KV_HEADS), draw.choice(GROUPS)
    n_queries, n_keys = draw.randint(1, config.max_keys), draw.randint(1, config.max_keys)
    if config.causal:
        mask = "causal"
    else:
        mask = draw.choice(("no mask", "padding"))
        n_queries, n_keys = sorted((n_queries, n_keys), reverse=mask == "padding")
    keep = draw.choice(KEEP_RATIOS)
    trace = random_trace(config, draw.randrange(2**31), kv_heads * group, kv_heads, n_queries, n_keys, keep)
    decodes = kv_heads <= config.cores and n_keys < config.max_keys and draw.random() < 0.5
    return mask, from_arrays(trace, config), decodes


def decode(bench: TopBench, draw: Random, totals: Counter[str], layer: TensorFile) -> None:
    """Tokens one by one behind a layer that was kept; their rows are those of another random trace."""
    rows, config = layer.k8.shape[1], bench.config
    tokens = min(draw.randint(1, MOST_TOKENS), config.max_keys - rows)
    shape = (len(layer.q8), len(layer.k8), tokens, tokens)
    new = from_arrays(random_trace(config, draw.randrange(2**31), *shape), config)
    for token in range(tokens):
        row = slice(token, token + 1)
        k8, v8 = (np.concatenate([old, more[:, row]], axis=1) for old, more in ((layer.k8, new.k8), (layer.v8, new.v8)))
        layer = replace(layer, q8=new.q8[:, row], k8=k8, v8=v8, causal_offset=k8.shape[1] - 1)
        out = bench.latte.append(layer.q8[:, 0], k8[:, -1], v8[:, -1])
        check(bench, layer, out[:, None])
        note(bench, totals, layer, attention(layer, config), new_rows=1)
        totals["tokens decoded"] += 1


def note(
    bench: TopBench, totals: Counter[str], layer: TensorFile, golden: dict[str, Any], new_rows: int | None = None
) -> None:
    """Add what has just passed: elements, beats of the packets, and what golden counts."""
    (heads, n_queries, dim), (kv_heads, n_keys, _) = layer.q8.shape, layer.k8.shape
    totals["elements"] += heads * n_queries * dim
    totals["queries"] += heads * n_queries
    for name, count in zip(golden["counter_names"].tolist(), golden["counters"].sum(axis=0).tolist(), strict=True):
        totals[name] += count

    def beats(heads: int, rows: int, element_bytes: int) -> int:
        """Of packets of as many heads each as the core takes."""
        heads, rows = (1, heads * rows) if bench.config.packets is Packets.LAYER else (heads, rows)
        return heads * ceil_div(rows * dim * element_bytes, bench.config.stream_bytes)

    loaded = n_keys if new_rows is None else new_rows
    totals["input_beats"] += beats(heads, n_queries, 1) + 2 * beats(kv_heads, loaded, 1)
    totals["output_beats"] += beats(heads, n_queries, bench.latte.params.widths.out_bytes)
