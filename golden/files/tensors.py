"""The tensor file: what goes into the golden model, the simulator and the hardware, checked once.

An .npz archive with

* ``q``, ``k``, ``v``: float32 or int8, shape (heads, tokens, head_dim). k and v have the same shape; they may have
  fewer heads than q (grouped queries: query head h uses K/V head ``h // (heads / kv_heads)``) and another number of
  tokens. Float tensors are quantised on loading (:mod:`golden.blocks.quantize`);
* ``scale_q``, ``scale_k``, ``scale_v``: one int8 step per head; required with int8, otherwise an optional replacement
  of ``max|x|`` divided by the greatest quantised value: ``quant_max`` for q and k, 127 for v;
* ``tau``: float32 (heads,), finite thresholds in logits (natural logarithm), or ``tau_int``: integers (heads,), in
  steps of the estimate, as the register holds them. A file with both must agree with itself. A dense core has no
  thresholds: they are not looked at, and 0. Its float tensors become the same integers as those of a LATTE core;
* ``causal_offset`` (optional): query i sees keys ``j <= i + causal_offset``; ``n_keys - n_queries`` by default. Any
  integer will do; beyond ``max_keys`` every key is visible, or none;
* ``conditioning`` (optional): names of what has already been applied to q and k (:mod:`golden.blocks.conditioning`). It
  is carried along, not applied again.

Numbers may be of either byte order. Further members are not read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from golden.blocks.arith import Array, Int8, Int64
from golden.blocks.quantize import check_int8_range, head_scales, quantize
from golden.files.npz import read_npz, save_npz
from latte_hw.config import CoreConfig, DenseConfig
from latte_hw.config.errors import LatteError
from latte_hw.config.thresholds import check_conditioning, tau_of
from latte_hw.params import HeadParams
from latte_hw.params.dense import params_of, port_params

__all__ = ["TensorFile", "from_arrays", "load", "save_npz"]

TENSORS = ("q", "k", "v")
THRESHOLDS = ("tau", "tau_int")
NAMES = (*TENSORS, "scale_q", "scale_k", "scale_v", "causal_offset", "conditioning")
"""Members of a tensor file that mean something, beside thresholds."""


@dataclass(frozen=True)
class TensorFile:
    """Checked tensors and registers of one attention call. H query heads, G = kv heads, D = head_dim."""

    q8: Int8  # (H, Nq, D)
    k8: Int8  # (G, Nk, D)
    v8: Int8  # (G, Nk, D)
    scale_q: NDArray[np.float32]  # (H,) int8 step of q
    scale_k: NDArray[np.float32]  # (G,)
    scale_v: NDArray[np.float32]  # (G,)
    tau_int: Int64  # (H,) threshold registers
    softmax_scale: Int64  # (H, 2) mantissa and shift registers
    causal_offset: int  # used only by a causal configuration
    conditioning: tuple[str, ...] = ()

    @property
    def heads(self) -> int:
        return len(self.q8)

    @property
    def group(self) -> int:
        """Query heads that share one K/V head."""
        return len(self.q8) // len(self.k8)


def load(path: Path | str, config: CoreConfig) -> TensorFile:
    """Read and check a tensor file; :class:`LatteError` says in one sentence what is wrong with it."""
    return from_arrays(read(path, config), config)


def read(
    path: Path | str,
    config: CoreConfig,
    thresholds: bool = True,
    check: Callable[[Mapping[str, Array]], object] | None = None,
) -> dict[str, Array]:
    """The arrays of a tensor file that its use needs, with or without ``thresholds``.

    They are read only if their shapes pass ``check``, which may raise, and :func:`check_shapes`.
    """

    def judge(arrays: Mapping[str, Array]) -> None:
        if check is not None:
            check(arrays)
        check_shapes(arrays, config)

    needs_thresholds = thresholds and not isinstance(config, DenseConfig)
    return read_npz(path, (*NAMES, *THRESHOLDS) if needs_thresholds else NAMES, check=judge)


def from_arrays(arrays: Mapping[str, Array], config: CoreConfig) -> TensorFile:
    """Check the arrays of a tensor file against a configuration and quantise what is float32.

    Raises :class:`LatteError` on a missing array, a wrong shape or type, NaN or infinity, int8 without a scale, q or k
    beyond ``quant_max``, a head_dim or a number of tokens that the configuration does not hold, and bad thresholds.
    """
    dense = isinstance(config, DenseConfig)
    params = port_params(config) if isinstance(config, DenseConfig) else params_of(config)
    check_shapes(arrays, config)
    q, k = arrays["q"], arrays["k"]
    for name in TENSORS:
        _check_finite(name, arrays[name])
    (q8, scale_q), (k8, scale_k), (v8, scale_v) = (_quantized(name, arrays, params, dense) for name in TENSORS)
    steps = [(float(s), float(scale_k[h // (len(q) // len(k))])) for h, s in enumerate(scale_q)]
    return TensorFile(
        q8=q8,
        k8=k8,
        v8=v8,
        scale_q=scale_q,
        scale_k=scale_k,
        scale_v=scale_v,
        tau_int=np.zeros(len(q8), np.int64) if dense else _thresholds(arrays, steps, params),
        softmax_scale=np.array([params.softmax_scale_register(*step) for step in steps], np.int64),
        causal_offset=_causal_offset(arrays, k.shape[1] - q.shape[1], params),
        conditioning=check_conditioning(
            str(name) for name in np.atleast_1d(arrays.get("conditioning", np.array([], str)))
        ),
    )


def check_shapes(arrays: Mapping[str, Array], config: CoreConfig) -> None:
    """:class:`LatteError` unless q, k and v are there, with shapes and types that the configuration holds."""
    for name in TENSORS:
        _check_tensor(name, arrays, config)
    q, k, v = (arrays[name] for name in TENSORS)
    if k.shape != v.shape:
        raise LatteError(f"k and v must have the same shape, not {k.shape} and {v.shape}")
    if len(q) % len(k):
        raise LatteError(f"the number of query heads must be a multiple of the {len(k)} K/V heads, not {len(q)}")


def _check_tensor(name: str, arrays: Mapping[str, Array], config: CoreConfig) -> None:
    if name not in arrays:
        raise LatteError(f"tensor file has no array {name!r}; it needs q, k, v and tau or tau_int")
    x = arrays[name]
    if x.ndim != 3 or 0 in x.shape:
        raise LatteError(f"{name} must have shape (heads, tokens, head_dim), none of them 0, not {x.shape}")
    if x.shape[2] != config.head_dim:
        raise LatteError(f"{name} must have head_dim {config.head_dim} as configured, not {x.shape[2]}")
    if x.shape[1] > config.max_keys:
        tokens = "queries" if name == "q" else "keys"
        raise LatteError(f"{name} must have at most max_keys = {config.max_keys} {tokens}, not {x.shape[1]}")
    if x.dtype not in (np.float32, np.int8):
        raise LatteError(f"{name} must be float32 or int8, not {x.dtype}")


def _check_finite(name: str, x: Array) -> None:
    if x.dtype == np.float32 and not np.isfinite(x).all():
        raise LatteError(f"{name} must be finite, but holds {'NaN' if np.isnan(x).any() else 'infinity'}")


def _quantized(
    name: str, arrays: Mapping[str, Array], params: HeadParams, dense: bool
) -> tuple[Int8, NDArray[np.float32]]:
    x, scale_name = arrays[name], f"scale_{name}"
    if scale_name in arrays:
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            scales = _per_head(scale_name, arrays, len(x)).astype(np.float32)
        if not (np.isfinite(scales) & (scales > 0)).all():
            bad = scales[~(np.isfinite(scales) & (scales > 0))][0]
            raise LatteError(f"{scale_name} must be above 0 and finite, not {bad}")
    elif x.dtype == np.int8:
        raise LatteError(f"{name} is int8, so the file must also hold {scale_name}, its int8 step per head")
    else:
        scales = head_scales(x, params, tensor=name)
    if x.dtype == np.int8:
        if not dense and name != "v":  # which nothing splits, as a dense core does not split q and k
            check_int8_range(name, x, params)
        return x, scales
    return quantize(x, scales, params, name), scales


def _thresholds(arrays: Mapping[str, Array], steps: list[tuple[float, float]], params: HeadParams) -> Int64:
    """Threshold registers; ``steps`` holds (scale_q, scale_k) of every query head."""
    if "tau" not in arrays and "tau_int" not in arrays:
        raise LatteError("tensor file has neither tau nor tau_int; it needs one threshold per query head")
    if "tau" not in arrays:
        return _given_registers(arrays, len(steps), params)
    tau = tau_of(arrays["tau"], params.config.rule, (len(steps),))
    computed = [params.threshold_register(float(t), *step) for t, step in zip(tau, steps, strict=True)]
    if "tau_int" in arrays:
        for head, given in enumerate(_given_registers(arrays, len(steps), params)):
            if given != computed[head]:
                raise LatteError(f"tau and tau_int disagree at head {head}: tau gives {computed[head]}, not {given}")
    return np.array(computed, np.int64)


def _given_registers(arrays: Mapping[str, Array], heads: int, params: HeadParams) -> Int64:
    given = _per_head("tau_int", arrays, heads)
    if given.dtype.kind not in "iu":
        raise LatteError(f"tau_int must be integers, not {given.dtype}")
    low, high = params.widths.threshold_range
    for value in (int(given.min()), int(given.max())):
        if not low <= value <= high:
            raise LatteError(f"tau_int must be from {low} to {high}, not {value}")
    return given.astype(np.int64)


def _per_head(name: str, arrays: Mapping[str, Array], heads: int) -> Array:
    x = arrays[name]
    if x.shape != (heads,):
        raise LatteError(f"{name} must have shape ({heads},), one per head, not {x.shape}")
    if x.dtype.kind not in "iuf":
        raise LatteError(f"{name} must be numbers, not {x.dtype}")
    return x


def _causal_offset(arrays: Mapping[str, Array], default: int, params: HeadParams) -> int:
    if "causal_offset" not in arrays:
        return default
    x = arrays["causal_offset"]
    if x.size != 1 or x.dtype.kind not in "iu":
        raise LatteError(f"causal_offset must be one integer, not {x.dtype} of shape {x.shape}")
    return params.widths.limited_offset(int(x.item()))
