"""Shows that the integer attention behind an evaluation is the hardware's: equal to the NumPy golden model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from golden.analysis.compare import first_difference
from golden.attention import attention
from golden.files.npz import save_npz
from golden.files.tensors import TensorFile
from golden.nn.backend import LayerCall
from golden.nn.integer import IntegerInputs, integer_attention
from golden.train.model import ModelUnderTest
from latte_hw.config import LatteConfig
from latte_hw.config.errors import LatteError, MismatchError

STAGES = ("estimate", "keep", "score", "prob", "out", "counters")


@dataclass(frozen=True)
class Layer:
    """One layer's attention on one held-out item, as the model met it in the integer mode."""

    number: int
    inputs: IntegerInputs
    causal: bool


def watch_layers(under_test: ModelUnderTest, layers: list[int], item: int) -> list[Layer]:
    """What layers are given on one held-out item in mode `integer`; :class:`LatteError` on a layer not there."""
    runtime = under_test.runtime
    for layer in layers:
        if not 0 <= layer < runtime.thresholds.layers:
            raise LatteError(f"layers must be from 0 to {runtime.thresholds.layers - 1} for this model, not {layer}")
    found: dict[int, Layer] = {}

    def watch(call: LayerCall) -> None:
        if call.layer in layers and call.inputs is not None:
            found[call.layer] = Layer(call.layer, call.inputs, call.causal)

    before, runtime.watch = runtime.watch, watch
    try:
        with torch.no_grad():
            under_test.logits(under_test.load("held_out", [item]), "integer")
    finally:
        runtime.watch = before
    return [found[layer] for layer in layers]


def check(under_test: ModelUnderTest, layers: list[int], items: list[int]) -> dict[str, Any]:
    """Compare every stage of the given layers, all heads, on some held-out items with the NumPy golden model.

    Returns what was compared, in plain values; raises :class:`MismatchError` at the first difference.
    """
    pairs = heads = 0
    for item in items:
        for layer in watch_layers(under_test, layers, item):
            tensors, config = golden_inputs(layer, under_test.runtime.config)
            difference = first_difference(attention(tensors, config), stages(layer, config))
            if difference is not None:
                raise MismatchError(
                    f"layer {layer.number}, item {item}: torch and the golden model differ: {difference}"
                )
            heads += tensors.heads
            pairs += tensors.heads * tensors.q8.shape[1] * tensors.k8.shape[1]
    return {
        "equal": True,
        "layers": layers,
        "items": items,
        "heads": heads,
        "pairs": pairs,
        "sentence": f"bit-exact: {heads} heads of layers {', '.join(map(str, layers))} equal the NumPy golden model at "
        f"every stage ({pairs:,} pairs)",
    }


def golden_inputs(layer: Layer, config: LatteConfig) -> tuple[TensorFile, LatteConfig]:
    """The layer's tensor file, and the configuration with the layer's causality."""
    return layer.inputs.to_file(0), config.replace(causal=layer.causal)


def stages(layer: Layer, config: LatteConfig) -> dict[str, np.ndarray]:
    """Every array of the torch attention under golden's names and types, for the first window."""
    found = integer_attention(layer.inputs, config, stages=True)
    arrays = {name: found[name][0].cpu().numpy() for name in STAGES}
    return {**arrays, "prob": arrays["prob"].astype(np.uint16)}


def write_layer(under_test: ModelUnderTest, number: int, item: int, path: Path, tokens: int | None = None) -> None:
    """Write one layer on one held-out item as a tensor file for `latte golden` and `latte simulate`.

    ``tokens`` takes the first tokens of it alone. Everything is as the model met it: int8 tensors, scales, registers.
    """
    (layer,) = watch_layers(under_test, [number], item)
    tensors, _ = golden_inputs(layer, under_test.runtime.config)
    if tokens is not None and not layer.causal:
        raise LatteError("only a causal model's layer can be cut short: later keys count for every query otherwise")
    rows = slice(0, tokens)
    arrays: dict[str, np.ndarray] = {
        "q": tensors.q8[:, rows],
        "k": tensors.k8[:, rows],
        "v": tensors.v8[:, rows],
        **{name: getattr(tensors, name) for name in ("scale_q", "scale_k", "scale_v", "tau_int")},
        "conditioning": np.array(tensors.conditioning, dtype="U16"),
    }
    save_npz(path, arrays, compressed=True)
