"""How a preset, a file and single settings choose a configuration, with one sentence for whatever is wrong."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

from pydantic import ValidationError

from latte_hw.config.base import CoreConfig
from latte_hw.config.core import Core, Datapath, Wrapper
from latte_hw.config.dense import DenseConfig, why_not
from latte_hw.config.errors import LatteError
from latte_hw.config.head import LatteConfig
from latte_hw.config.json_file import read_object
from latte_hw.config.presets import PRESETS, preset
from latte_hw.config.problems import first_problem, quoted
from latte_hw.config.top import TopConfig

Kind = TypeVar("Kind", bound=CoreConfig)

CONFIGS: dict[Core, type[CoreConfig]] = {kind.core: kind for kind in (LatteConfig, DenseConfig, TopConfig)}
"""What configures each core."""


@overload
def resolve_config(
    preset_name: str | None,
    config_file: Path | None,
    settings: list[str] | None,
    default: dict[str, Any] | None = None,
    core: Literal[Core.LATTE] = Core.LATTE,
) -> LatteConfig: ...


@overload
def resolve_config(
    preset_name: str | None,
    config_file: Path | None,
    settings: list[str] | None,
    default: dict[str, Any] | None = None,
    *,
    core: Core,
) -> CoreConfig: ...


def resolve_config(
    preset_name: str | None,
    config_file: Path | None,
    settings: list[str] | None,
    default: dict[str, Any] | None = None,
    core: Core = Core.LATTE,
) -> CoreConfig:
    """The configuration that ``--preset`` or ``--config``, then every ``--set``, describe.

    Without the first two it starts from the fields ``default``, or from `tiny`. It is of the class that `CONFIGS` has
    for the core. A preset serves them all: for `dense` what remains of its fields, for `top` one core, streams of 64
    bits and `rst` besides, unless something else is said.

    Raises :class:`LatteError` on an unknown preset or field, a file that is not a configuration, or a bad value.
    """
    if preset_name is not None and config_file is not None:
        raise LatteError("give either --preset or --config, not both")
    kind = CONFIGS[core]
    if config_file is not None:
        fields = _from_file(config_file, kind)
    else:
        chosen = default if default and preset_name is None else _from_preset(preset_name or "tiny")
        fields = {name: value for name, value in chosen.items() if name in kind.model_fields}
    for setting in settings or []:
        name, equals, value = setting.partition("=")
        if not equals:
            raise LatteError(f"--set takes FIELD=VALUE, not {setting!r}")
        if name not in kind.model_fields:
            if core.datapath is Datapath.DENSE and (sentence := why_not(name)) is not None:
                raise LatteError(sentence)
            if name in set(TopConfig.model_fields) - set(LatteConfig.model_fields):
                raise LatteError(f"configuration field {name} belongs to --core top, not to {core.value}")
            raise LatteError(f"configuration field must be one of {', '.join(kind.model_fields)}, not {name!r}")
        fields[name] = value
    return build_config(fields, kind)


def check_default_size(
    preset_name: str | None,
    config_file: Path | None,
    chosen: CoreConfig,
    sizes: Mapping[str, tuple[int, int | None]],
) -> None:
    """:class:`LatteError` when nobody has chosen a configuration and `tiny` does not have the size of what is given.

    ``sizes`` are tokens and head_dim, which may be left open, of each thing by its name. The sentence names the presets
    that have the size of all of them.
    """
    if preset_name is not None or config_file is not None:
        return

    def fits(config: CoreConfig, tokens: int, head_dim: int | None) -> bool:
        return tokens <= config.max_keys and head_dim in (None, config.head_dim)

    for name, size in sizes.items():
        if fits(chosen, *size):
            continue
        tokens, head_dim = size
        if head_dim in (None, chosen.head_dim):
            has, taken = f"{tokens} tokens", f"{chosen.max_keys} at most"
        else:
            has, taken = f"head_dim {head_dim}", str(chosen.head_dim)
        fitting = [name for name, config in PRESETS.items() if all(fits(config, *each) for each in sizes.values())]
        remedy = f"--preset {fitting[0]}" if fitting else "--set or --config, since no preset has this size"
        if others := fitting[1:]:
            remedy += f" (or {', '.join(others)})"
        raise LatteError(f"{name} has {has}; no --preset given, so `tiny` ({taken}) was taken: use {remedy}")


def config_of(description: dict[str, Any]) -> CoreConfig:
    """The configuration in the JSON that `latte generate` writes beside a head core, read back."""
    return CONFIGS[Core(description["core"])].model_validate(description["config"])


def check_head_core(core: Core, command: str) -> None:
    """:class:`LatteError` when ``command`` takes one head core and is given another wrapper."""
    if core.wrapper is not Wrapper.HEAD:
        heads = [one.value for one in Core if one.wrapper is Wrapper.HEAD]
        raise LatteError(f"{command} takes one head core: --core must be {' or '.join(heads)}, not {core.value}")


def build_config(fields: dict[str, Any], kind: type[Kind]) -> Kind:
    """A configuration from plain fields; the first thing wrong with them as one :class:`LatteError` sentence."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise LatteError(first_problem(error)) from None


def config_of_json(fields: Any, kind: type[Kind]) -> Kind:
    """The same from the JSON of a file, where a truth value is no number."""
    if not isinstance(fields, dict):
        raise LatteError(f"a configuration must be a JSON object of fields, not {quoted(fields)}")
    _check_types(fields, kind)
    return build_config(fields, kind)


def _check_types(fields: dict[str, Any], kind: type[CoreConfig]) -> None:
    """:class:`LatteError` on `true` or `false` where a field holds a number."""
    for name, value in fields.items():
        if name in kind.model_fields and isinstance(value, bool) and kind.model_fields[name].annotation is not bool:
            raise LatteError(f"{name} must not be a truth value, but is {json.dumps(value)}")


def _from_preset(name: str) -> dict[str, Any]:
    try:
        return preset(name).model_dump()
    except ValueError as error:
        raise LatteError(str(error)) from None


def _from_file(path: Path, kind: type[CoreConfig]) -> dict[str, Any]:
    fields = read_object(path, "configuration file")
    if isinstance(fields.get("config"), dict):
        fields = fields["config"]  # the JSON that `latte generate` and `latte vectors` write holds one
    try:
        _check_types(fields, kind)
    except LatteError as error:
        raise LatteError(f"configuration file {path}: {error}") from None
    return fields
