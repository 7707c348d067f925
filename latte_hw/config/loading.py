"""How a preset, a file and single settings choose a configuration, with one sentence for whatever is wrong."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from latte_hw.config.errors import LatteError
from latte_hw.config.head import Core, LatteConfig
from latte_hw.config.presets import PRESETS, preset
from latte_hw.config.top import TopConfig


def resolve_config(
    preset_name: str | None,
    config_file: Path | None,
    settings: list[str] | None,
    default: dict[str, Any] | None = None,
    core: Core = Core.LATTE,
) -> LatteConfig:
    """The configuration that ``--preset`` or ``--config``, then every ``--set``, describe.

    Without the first two it starts from the fields ``default``, or from `tiny`. For the core `top` it is a
    :class:`TopConfig`: one core, streams of 64 bits and `rst`, unless something else is said.

    Raises :class:`LatteError` on an unknown preset or field, a file that is not a configuration, or a bad value.
    """
    if preset_name is not None and config_file is not None:
        raise LatteError("give either --preset or --config, not both")
    kind = TopConfig if core is Core.TOP else LatteConfig
    if config_file is not None:
        fields = _from_file(config_file)
    else:
        fields = dict(default) if default and preset_name is None else _from_preset(preset_name or "tiny")
    for setting in settings or []:
        name, equals, value = setting.partition("=")
        if not equals:
            raise LatteError(f"--set takes FIELD=VALUE, not {setting!r}")
        if name not in kind.model_fields:
            if name in TopConfig.model_fields:
                raise LatteError(f"configuration field {name} belongs to --core top, not to {core.value}")
            raise LatteError(f"configuration field must be one of {', '.join(kind.model_fields)}, not {name!r}")
        fields[name] = value
    return build_config(fields, kind)


def check_default_size(
    preset_name: str | None,
    config_file: Path | None,
    chosen: LatteConfig,
    sizes: Mapping[str, tuple[int, int | None]],
) -> None:
    """:class:`LatteError` when nobody has chosen a configuration and `tiny` does not have the size of what is given.

    ``sizes`` are tokens and head_dim, which may be left open, of each thing by its name. The sentence names the presets
    that have the size of all of them.
    """
    if preset_name is not None or config_file is not None:
        return

    def fits(config: LatteConfig, tokens: int, head_dim: int | None) -> bool:
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


def check_head_core(core: Core, command: str) -> None:
    """:class:`LatteError` when ``command`` takes one head core and is given the whole top."""
    if core is Core.TOP:
        raise LatteError(f"{command} takes one head core: --core must be latte or dense, not top")


def build_config(fields: dict[str, Any], kind: type[LatteConfig] = LatteConfig) -> LatteConfig:
    """A configuration from plain fields; the first thing wrong with them as one :class:`LatteError` sentence."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise LatteError(f"{where}: {message}, not {first['input']!r}" if where else message) from None


def _from_preset(name: str) -> dict[str, Any]:
    try:
        return preset(name).model_dump()
    except ValueError as error:
        raise LatteError(str(error)) from None


def _from_file(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text())
    except OSError as error:
        raise LatteError(f"configuration file {path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise LatteError(f"configuration file {path} is not JSON") from None
    if isinstance(fields, dict) and isinstance(fields.get("config"), dict):
        fields = fields["config"]  # the JSON that `latte generate` and `latte vectors` write holds one
    if not isinstance(fields, dict):
        raise LatteError(f"configuration file {path} must hold a JSON object of fields")
    return fields
