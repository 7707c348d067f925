"""Registers of a layer's thresholds and softmax scales, from arrays or from the thresholds file of `latte train`.

`golden/files/thresholds.py` writes and documents the file; only what hardware needs is read here.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latte_hw.config.errors import LatteError
from latte_hw.params import HeadParams

SCHEMA = "latte-thresholds-1"
ALIKE = ("rule", "split", "msb_bits", "head_dim")
"""Fields that thresholds were trained for and a core must share: others do not change which keys are kept."""

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
        tau, stored_q, stored_k = _from_file(Path(thresholds), layer, params)
        scale_q = stored_q if scale_q is None else scale_q
        scale_k = stored_k if scale_k is None else scale_k
    else:
        tau = _vector("thresholds", thresholds)
        if layer is not None:
            raise LatteError("layer names a layer of a thresholds file: leave it out with an array")
    if scale_q is None or scale_k is None:
        raise LatteError("scale_q and scale_k are needed: the int8 steps of q and k, one per head")
    q, k = _vector("scale_q", scale_q), _vector("scale_k", scale_k)
    if len(q) != len(tau) or not len(k) or len(q) % len(k):
        raise LatteError(
            f"there must be one scale_q for each of the {len(tau)} thresholds and one scale_k for each K/V head, "
            f"not {len(q)} and {len(k)}"
        )
    steps = [(float(step), float(k[head // (len(q) // len(k))])) for head, step in enumerate(q)]
    if not all(0 < step < float("inf") for pair in steps for step in pair):
        raise LatteError("scale_q and scale_k must be above 0 and finite")
    return [
        (params.threshold_register(float(t), *pair), *params.softmax_scale_register(*pair))
        for t, pair in zip(tau, steps, strict=True)
    ]


def _vector(name: str, values: ArrayLike) -> NDArray[np.float64]:
    vector = np.asarray(values, np.float64)
    if vector.ndim != 1 or np.isnan(vector).any():
        raise LatteError(f"{name} must be one number per head, not of shape {vector.shape} or NaN")
    return vector


def _from_file(path: Path, layer: int | None, params: HeadParams) -> tuple[NDArray[np.float64], Any, Any]:
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise LatteError(f"thresholds file {path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise LatteError(f"thresholds file {path} is not JSON") from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise LatteError(f"thresholds file {path} must have the schema {SCHEMA}")
    layers = len(content["tau"])
    if layer is None or not 0 <= layer < layers:
        raise LatteError(f"layer must be from 0 to {layers - 1} for thresholds file {path}, not {layer}")
    mine, trained = params.config.model_dump(mode="json"), content["config"]
    for name in ALIKE:
        if trained[name] != mine[name]:
            raise LatteError(f"thresholds file {path} is for {name}={trained[name]}, the core has {mine[name]}")
    scales = content["scales"]
    static = scales["rule"] == "static"
    q, k = (scales[name][layer] if static else None for name in ("q", "k"))
    return _vector("thresholds", content["tau"][layer]), q, k
