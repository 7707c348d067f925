"""How dot products are built: by tables of a few shapes, or by multipliers."""

from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, fields
from enum import StrEnum
from typing import Any


class Dot(StrEnum):
    """How the dot products are built; all are bit-equal."""

    TABLES = "tables"  # lookup tables in LUT RAM, whose shape three numbers give
    MULTIPLIERS = "multipliers"  # one multiplier per element: the readable reference


@dataclass(frozen=True)
class DotChoice:
    """A kind of dot product and the numbers of its tables; multipliers have none, so that these are the defaults."""

    dot: Dot = Dot.TABLES

    table_dims: int = 4
    """Dimensions that share one table, of 2^table_dims entries per query."""

    table_queries: int = 2
    """Queries that a table holds: with 2, the next query is filled in while keys of the present one pass."""

    adders_per_register: int = 1
    """Steps of a dot product, reading the table or adding pairs, from one register to the next."""

    def fields(self, prefix: str = "") -> dict[str, Any]:
        """As fields of a configuration."""
        return {f"{prefix}{name}": value for name, value in asdict(self).items()}


TABLE_CHOICES = (
    DotChoice(),  # 32 words: LUT RAM of 7-series and later
    DotChoice(table_dims=3),  # 16 words: LUT RAM of ECP5
    DotChoice(table_dims=3, adders_per_register=2),  # fewest flip-flops, lower clock
    DotChoice(table_queries=1),  # 16 words, fewest LUTs; a gap between queries
    DotChoice(table_queries=1, adders_per_register=2),
)
DOT_CHOICES = (*TABLE_CHOICES, DotChoice(Dot.MULTIPLIERS))
"""Every kind that some result uses; others are refused."""

NUMBERS = tuple(field.name for field in fields(DotChoice)[1:])
"""Fields of a configuration that give the shape of tables; for reuse they begin with :data:`REUSE`."""

REUSE = "reuse_"

FORMER_NAMES = {
    "small_tables": DotChoice(table_dims=3),
    "lean_tables": DotChoice(table_dims=3, adders_per_register=2),
    "single_tables": DotChoice(table_queries=1),
    "lean_single_tables": DotChoice(table_queries=1, adders_per_register=2),
}
"""Kinds that had a name of their own instead of numbers."""


def check_former_names(values: Mapping[str, Any]) -> None:
    """:class:`ValueError` if a field of a configuration holds a former name; it says what to write instead."""
    for prefix in ("", REUSE):
        former = values.get(f"{prefix}dot")
        if isinstance(former, str) and former in FORMER_NAMES:
            numbers = {name: getattr(FORMER_NAMES[former], name) for name in NUMBERS}
            if not prefix:
                numbers = {name: value for name, value in numbers.items() if value != getattr(DotChoice(), name)}
            raise ValueError(f"{prefix}dot={former} is now {prefix}dot=tables with {_settings(prefix, numbers)}")


def check_choice(choice: DotChoice, prefix: str = "") -> None:
    """:class:`ValueError` unless the choice is among :data:`DOT_CHOICES`; fields of it have names with the prefix."""
    if choice in DOT_CHOICES:
        return
    numbers = {name: getattr(choice, name) for name in NUMBERS}
    if choice.dot is Dot.MULTIPLIERS:
        name, value = next((name, value) for name, value in numbers.items() if value != getattr(DotChoice(), name))
        raise ValueError(f"{prefix}{name}={value} belongs to {prefix}dot=tables: multipliers have no tables")
    names = ", ".join(f"{prefix}{name}" for name in NUMBERS)
    known = [", ".join(map(str, astuple(known)[1:])) for known in TABLE_CHOICES]
    raise ValueError(
        f"there are no tables with {_settings(prefix, numbers)}: {names} must be {'; '.join(known[:-1])} or {known[-1]}"
    )


def _settings(prefix: str, numbers: Mapping[str, int]) -> str:
    """`a=1, b=2 and c=3`."""
    *others, last = (f"{prefix}{name}={value}" for name, value in numbers.items())
    return f"{', '.join(others)} and {last}" if others else last
