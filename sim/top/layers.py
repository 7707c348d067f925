"""Scenarios for :mod:`sim.top.runner`: whole layers through the driver, held against the golden model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.attention import attention
from golden.files.npz import read_npz
from golden.files.stimuli import random_trace
from golden.files.tensors import TensorFile, from_arrays
from latte_hw.config.top import TopConfig
from sim.top.bench import TopBench

TRACE = Path(__file__).parents[2] / "traces" / "smollm2-135m.npz"


def tensors_of(
    config: TopConfig, shape: str, heads: int, kv_heads: int, n_queries: int, n_keys: int, seed: int = 1
) -> TensorFile:
    """`shape` says where from: `random`; `trace`, the committed trace; `halves`, its heads cut in two."""
    if shape == "random":
        return from_arrays(random_trace(config, seed, heads, kv_heads, n_queries, n_keys), config)
    arrays = read_npz(TRACE)
    q, k, v, tau = (arrays[name] for name in ("q", "k", "v", "tau"))
    if shape == "halves":
        k, v = (np.repeat(x, len(q) // len(x), axis=0) for x in (k, v))
        q, k, v = (np.concatenate(np.split(x, 2, axis=2)) for x in (q, k, v))
        tau = np.concatenate([tau, tau])
    tokens = q.shape[1]
    offset = n_keys - n_queries
    rows = slice(min(offset, tokens - n_queries), min(offset, tokens - n_queries) + n_queries)
    part = {"q": q[:heads, rows], "k": k[:kv_heads, :n_keys], "v": v[:kv_heads, :n_keys], "tau": tau[:heads]}
    return from_arrays(part, config)


def run_layer(bench: TopBench, tensors: TensorFile, causal: bool | None = None, keep: bool = False) -> NDArray[Any]:
    """The layer's output by the core, which must be golden's; nothing may be left over."""
    registers = np.column_stack([tensors.tau_int, tensors.softmax_scale]).tolist()
    bench.latte.load_entries([(tau, mantissa, shift) for tau, mantissa, shift in registers])
    out = bench.latte.attention(tensors.q8, tensors.k8, tensors.v8, causal=causal, keep=keep)
    check(bench, tensors, out)
    return out


def check(bench: TopBench, tensors: TensorFile, out: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Equal to golden, element by element; golden's results."""
    golden = attention(tensors, bench.config)
    expected = golden["out"]
    assert out.shape == expected.shape, f"{out.shape} came, not {expected.shape}"
    wrong = np.argwhere(out != expected)
    assert not len(wrong), (
        f"{len(wrong)} of {out.size} elements differ, first at head, query, element {wrong[0].tolist()}: "
        f"{expected[tuple(wrong[0])]} expected, {out[tuple(wrong[0])]} came"
    )
    bench.transport.assert_nothing_left()
    return golden


def layers(bench: TopBench, shapes: list[dict[str, Any]]) -> dict[str, Any]:
    """Several layers one after the other, of :func:`tensors_of`'s arguments; what the core counted, cycles and stalls.

    The counters of pairs must be golden's.
    """
    elements = 0
    for shape in shapes:
        tensors = tensors_of(bench.config, **shape)
        before = bench.latte.counters()
        elements += run_layer(bench, tensors).size
        after = bench.latte.counters()
        golden = attention(tensors, bench.config)
        expected = dict(zip(golden["counter_names"].tolist(), golden["counters"].sum(axis=0).tolist(), strict=True))
        expected["queries"] = tensors.q8.shape[0] * tensors.q8.shape[1]
        counted = {name: after[name] - before[name] for name in expected}
        assert counted == expected, f"counted {counted}, not {expected}"
        for name in expected:
            assert after[name] == sum(core[name] for core in after["cores"])
    return {"elements": elements, "counters": bench.latte.counters()}


def decoding(bench: TopBench, heads: int, kv_heads: int, prompt: int, tokens: int, seed: int = 1) -> dict[str, Any]:
    """A prompt, then tokens one by one, each held against golden over all rows so far.

    Of each token the cycles from APPEND to the end of its last packet (`cycles_busy`), and golden's counts per head.
    """
    whole = tensors_of(bench.config, "random", heads, kv_heads, prompt + tokens, prompt + tokens, seed)
    first = replace(whole, q8=whole.q8[:, :prompt], k8=whole.k8[:, :prompt], v8=whole.v8[:, :prompt], causal_offset=0)
    run_layer(bench, first, keep=True)
    steps = []
    for row in range(prompt, prompt + tokens):
        before = bench.latte.counters()["cycles_busy"]
        out = bench.latte.append(whole.q8[:, row], whole.k8[:, row], whole.v8[:, row])
        cycles = bench.latte.counters()["cycles_busy"] - before
        k8, v8 = whole.k8[:, : row + 1], whole.v8[:, : row + 1]
        token = replace(whole, q8=whole.q8[:, row : row + 1], k8=k8, v8=v8, causal_offset=row)
        golden = check(bench, token, out[:, None])
        counts = dict(zip(golden["counter_names"].tolist(), golden["counters"].T.tolist(), strict=True))
        steps.append({"cycles": cycles, "keys": row + 1, **counts})
    return {"steps": steps}
