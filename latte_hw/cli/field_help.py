"""What `--help` says below the options of a command: an example, and every configuration field that --set takes."""

from enum import StrEnum
from types import UnionType
from typing import Union, get_args, get_origin

from latte_hw.config import LatteConfig
from latte_hw.config.top import TopConfig


def example(command: str) -> str:
    """The text below the options of a command without a configuration."""
    return f"Example: {command}"


def fields_and_example(command: str, top: bool = False) -> str:
    """The text below the options of a command with `--set`; ``top`` adds the fields that belong to --core top."""
    parts = [example(command), "Configuration fields, each with its default:\n" + field_lines(LatteConfig)]
    if top:
        parts.append("With --core top also:\n" + field_lines(TopConfig, besides=LatteConfig))
    return "\n\n".join(parts)


def field_lines(kind: type[LatteConfig], besides: type[LatteConfig] | None = None) -> str:
    """A line for every field: name, default, meaning with its range, and the names that it may be one of."""
    left_out = besides.model_fields if besides else {}
    lines = []
    for name, field in kind.model_fields.items():
        if name in left_out:
            continue
        default = field.default.value if isinstance(field.default, StrEnum) else str(field.default).lower()
        line = f"  {name}={default}: {field.description}"
        if names := _choices(field.annotation):
            line += f" One of {', '.join(names)}."
        lines.append(line)
    return "\n".join(lines)


def _choices(annotation: object) -> list[str]:
    """Names that a field takes if it is an enumeration, or one or nothing."""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return [member.value for kind in kinds if isinstance(kind, type) and issubclass(kind, StrEnum) for member in kind]
