"""The thresholds file: what training hands to evaluation, to `latte golden` and to `latte simulate`. JSON:

* ``schema``: ``latte-thresholds-1``;
* ``model``: ``name``, ``type``, ``layers``, ``heads``, ``kv_heads``, ``head_dim``;
* ``config``: the fields of :class:`latte_hw.config.LatteConfig` that it was trained for;
* ``conditioning``: what is done to q and k before quantisation (:data:`CONDITIONING`);
* ``scales``: ``{"rule": "window", "clip"}``, or ``{"rule": "static", "clip", "q", "k", "v", "k_mean"}`` with the int8
  steps of every layer, (layers, heads) or (layers, kv_heads), and the keys' means, (layers, kv_heads, head_dim) or
  null; ``clip`` is the share of the greatest magnitude at which q and k saturate;
* ``tau``: thresholds (layers, heads) in logits (natural logarithm);
* ``training``: how they came about, for people.

Golden model, training and driver read it here and hold it against
their configuration with the one check of :meth:`ThresholdsFile.check_config`. NumPy and nothing heavier.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from latte_hw.config.arrays import numbers
from latte_hw.config.errors import LatteError
from latte_hw.config.head import LatteConfig, Rule
from latte_hw.config.json_file import read_schema
from latte_hw.config.loading import config_of_json
from latte_hw.config.numbers import integer, threshold
from latte_hw.config.problems import first_problem, quoted

SCHEMA = "latte-thresholds-1"
CONDITIONING = ("smooth_k", "rotate")
"""What may be done to q and k before quantisation, in the order in which it is; :mod:`golden.blocks.conditioning`."""

SHARED_FIELDS = ("rule", "split", "msb_bits", "head_dim")
"""Fields in which a core must be as the thresholds were trained for: others do not change what a threshold means."""

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class ModelShape:
    """What thresholds must fit: a model's name, and its attention."""

    name: str
    type: str
    layers: int
    heads: int
    kv_heads: int
    head_dim: int


@dataclass(frozen=True)
class StaticArrays:
    """Stored scales of every layer: int8 steps of conditioned q and k and of v, and the keys' means."""

    q: Float32  # (layers, heads)
    k: Float32  # (layers, kv_heads)
    v: Float32  # (layers, kv_heads)
    k_mean: Float32 | None = None  # (layers, kv_heads, head_dim)


@dataclass(frozen=True)
class ThresholdsFile:
    """Thresholds of a model and everything they depend on; see the module."""

    model: ModelShape
    config: LatteConfig
    tau: Float32  # (layers, heads) logits
    conditioning: tuple[str, ...] = ()
    scales: StaticArrays | None = None  # None: the window's own
    training: dict[str, Any] = field(default_factory=dict)
    clip: float = 1.0  # share of the greatest magnitude at which q and k saturate

    @property
    def scales_rule(self) -> str:
        return "window" if self.scales is None else "static"

    def to_json(self) -> str:
        static: dict[str, Any] = {}
        if self.scales is not None:
            static = {name: _plain(x) if x is not None else None for name, x in vars(self.scales).items()}
        fields = {
            "schema": SCHEMA,
            "model": asdict(self.model),
            "config": self.config.model_dump(mode="json"),
            "conditioning": list(self.conditioning),
            "scales": {"rule": self.scales_rule, "clip": self.clip, **static},
            "tau": _plain(self.tau),
            "training": self.training,
        }
        entries = [f"{json.dumps(name)}: {_one_line_per_row(value)}" for name, value in fields.items()]
        return "{\n" + ",\n".join(entries) + "\n}\n"

    def check_model(self, other: ModelShape) -> None:
        """:class:`LatteError` unless the thresholds fit a model of that shape; names may differ, as of a copy."""
        mine, theirs = asdict(self.model), asdict(other)
        for name in ("type", "layers", "heads", "kv_heads", "head_dim"):
            if mine[name] != theirs[name]:
                raise LatteError(
                    f"the thresholds are of another model: {self.model.name} has {name} {mine[name]}, "
                    f"{other.name} has {theirs[name]}"
                )

    def check_config(self, config: LatteConfig) -> None:
        """:class:`LatteError` unless the thresholds mean the same in a core of that configuration."""
        for name in SHARED_FIELDS:
            mine, other = getattr(self.config, name), getattr(config, name)
            if mine != other:
                raise LatteError(f"the thresholds are for {name}={mine}, the configuration has {other}")

    def of_layer(self, layer: int, name: str = "layer") -> Float32:
        """τ of a layer, (heads,) logits; :class:`LatteError` on a layer, called `name`, that there is not."""
        integer(name, layer)
        if not 0 <= layer < self.model.layers:
            raise LatteError(f"{name} must be from 0 to {self.model.layers - 1} for these thresholds, not {layer}")
        layer_tau: Float32 = self.tau[layer]
        return layer_tau


def check_conditioning(names: Iterable[str]) -> tuple[str, ...]:
    """The names as a tuple; :class:`LatteError` on an unknown one."""
    checked = tuple(names)
    for name in checked:
        if name not in CONDITIONING:
            raise LatteError(f"conditioning must be among {', '.join(CONDITIONING)}, not {name!r}")
    return checked


def tau_of(values: Any, rule: Rule, shape: tuple[int, ...] | None = None, name: str = "tau") -> NDArray[np.float64]:
    """Thresholds in logits as an array: of the given shape, or one per head.

    Every file and every array of thresholds comes in here. :class:`LatteError` on the first one that
    :func:`latte_hw.config.numbers.threshold` refuses, and on another shape.
    """
    tau = numbers(name, values, shape)
    if rule is Rule.DIFFERENTIAL:
        for value in tau[tau < 0][:1]:
            threshold(value, rule, name)
    return tau


def load(path: Path) -> ThresholdsFile:
    """Read and check a thresholds file; :class:`LatteError` says in one sentence what is wrong with it."""
    content = read_schema(path, "thresholds file", SCHEMA)
    try:
        return _from_fields(_Fields.model_validate(content))
    except ValidationError as error:
        raise LatteError(f"thresholds file {path}: {first_problem(error)}") from None
    except LatteError as error:
        raise LatteError(f"thresholds file {path}: {error}") from None


class _Strict(BaseModel):
    """Fields of the types that they say: no string or truth value is a number. Further fields are left alone."""

    model_config = ConfigDict(strict=True)


class _Model(_Strict):
    name: str
    type: str
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    kv_heads: int = Field(ge=1)
    head_dim: int = Field(ge=1)


class _Scales(_Strict):
    rule: str
    clip: FiniteFloat = 1.0
    q: Any = None
    k: Any = None
    v: Any = None
    k_mean: Any = None


class _Fields(_Strict):
    model: _Model
    config: dict[str, Any]
    conditioning: list[str]
    scales: _Scales
    tau: list[Any]
    training: dict[str, Any]


def _from_fields(fields: _Fields) -> ThresholdsFile:
    model, given = ModelShape(**fields.model.model_dump()), fields.scales
    if model.heads % model.kv_heads:
        raise LatteError(f"heads must be a multiple of the {model.kv_heads} K/V heads, not {model.heads}")
    config = config_of_json(fields.config, LatteConfig)
    q_shape, kv_shape = (model.layers, model.heads), (model.layers, model.kv_heads)
    tau = tau_of(fields.tau, config.rule, q_shape).astype(np.float32)
    if not 0 < given.clip <= 1:
        raise LatteError(f"clip must be above 0 and at most 1, not {given.clip:g}")
    scales = None
    if given.rule == "static":
        mean = given.k_mean
        scales = StaticArrays(
            q=_steps("q", given.q, q_shape),
            k=_steps("k", given.k, kv_shape),
            v=_steps("v", given.v, kv_shape),
            k_mean=None if mean is None else _float32("means of k", mean, (*kv_shape, model.head_dim)),
        )
    elif given.rule != "window":
        raise LatteError(f"scales must be window or static, not {quoted(given.rule)}")
    conditioning = check_conditioning(fields.conditioning)
    return ThresholdsFile(model, config, tau, conditioning, scales, fields.training, given.clip)


def _steps(name: str, values: Any, shape: tuple[int, ...]) -> Float32:
    steps = _float32(f"scales of {name}", values, shape)
    if not (steps > 0).all():
        raise LatteError(f"scales of {name} must be above 0, not {steps.min():g}")
    return steps


def _float32(name: str, values: Any, shape: tuple[int, ...]) -> Float32:
    if values is None:
        raise LatteError(f"{name} are missing")
    return numbers(name, values, shape).astype(np.float32)


def _plain(array: Float32) -> Any:
    """Nested lists of the shortest decimals that give the same float32 again."""
    if array.ndim > 1:
        return [_plain(row) for row in array]
    return [float(str(x)) for x in array.astype(np.float32)]


def _one_line_per_row(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], list):
        return "[\n" + ",\n".join(f"  {json.dumps(row)}" for row in value) + "\n]"
    return json.dumps(value)
