"""Registers of a layer's thresholds and softmax scales, from arrays or from the thresholds file of `latte train`.

The file is that of :mod:`latte_hw.config.thresholds`.
"""

from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from latte_hw.config.arrays import numbers
from latte_hw.config.errors import LatteError
from latte_hw.config.thresholds import load, tau_of
from latte_hw.params import HeadParams

Entries = list[tuple[int, int, int]]
"""Threshold, mantissa and shift of each query head."""


def entries_of(
    thresholds: ArrayLike | str | Path, layer: int | None, scale_q: Any, scale_k: Any, params: HeadParams
) -> Entries:
    """Table entries of a layer.

    `thresholds` are those of each query head in logits (natural logarithm), or a thresholds file and its `layer`.
    `scale_q` (heads,) and `scale_k` (K/V heads,) are the int8 steps of q and k; a file with static scales has them.
    Raises :class:`LatteError` on anything that does not fit.
    """
    if isinstance(thresholds, (str, Path)):
        file = load(Path(thresholds))
        file.check_config(params.config)
        if layer is None:
            raise LatteError(f"layer is needed with a thresholds file: 0 to {file.model.layers - 1}")
        tau = tau_of(file.of_layer(layer), params.config.rule)
        if file.scales is not None:
            scale_q = file.scales.q[layer] if scale_q is None else scale_q
            scale_k = file.scales.k[layer] if scale_k is None else scale_k
    else:
        tau = tau_of(thresholds, params.config.rule, name="thresholds")
        if layer is not None:
            raise LatteError("layer names a layer of a thresholds file: leave it out with an array")
    if scale_q is None or scale_k is None:
        raise LatteError("scale_q and scale_k are needed: the int8 steps of q and k, one per head")
    q, k = numbers("scale_q", scale_q), numbers("scale_k", scale_k)
    if len(q) != len(tau) or not len(k) or len(q) % len(k):
        raise LatteError(
            f"there must be one scale_q for each of the {len(tau)} thresholds and one scale_k for each K/V head, "
            f"not {len(q)} and {len(k)}"
        )
    steps = [(float(step), float(k[head // (len(q) // len(k))])) for head, step in enumerate(q)]
    return [
        (params.threshold_register(float(t), *pair), *params.softmax_scale_register(*pair))
        for t, pair in zip(tau, steps, strict=True)
    ]
