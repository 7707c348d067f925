"""What pydantic finds wrong with fields, in one sentence."""

from typing import Any

from pydantic import ValidationError

SHOWN = 60
"""Characters of a wrong value that a sentence quotes."""


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong, with the name of its field and its value."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{where} is missing"
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}, not {quoted(first['input'])}" if where else message


def quoted(value: Any) -> str:
    """The value as it is written in Python, cut where it is long."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply, or an integer of thousands of digits
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
