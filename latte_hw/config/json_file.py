"""Reading JSON files: any, and those that this package writes, each of which names its schema."""

import json
from pathlib import Path
from typing import Any

from latte_hw.config.errors import LatteError

MOST_BYTES = 1 << 28
"""Of a file; what is larger was not meant to be read here."""


def read_json(path: Path, kind: str, most_bytes: int | None = MOST_BYTES) -> Any:
    """What a JSON file holds; ``kind`` is what to call the file.

    Raises :class:`LatteError` when it cannot be read, is not JSON, has more than ``most_bytes`` or nests too deeply.
    """
    try:
        with path.open("rb") as file:
            content = file.read(-1 if most_bytes is None else most_bytes + 1)
    except OSError as error:
        raise LatteError(f"{kind} {path} cannot be read: {error.strerror or error}") from None
    if most_bytes is not None and len(content) > most_bytes:
        raise LatteError(f"{kind} {path} must have at most {most_bytes >> 20} MiB")
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise LatteError(f"{kind} {path} is not JSON: it is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise LatteError(f"{kind} {path} is not JSON: {error.msg} in line {error.lineno}") from None
    except ValueError:  # of the interpreter's limit on digits
        raise LatteError(f"{kind} {path} holds a number of thousands of digits") from None
    except RecursionError:
        raise LatteError(f"{kind} {path} must not nest its lists and objects so deeply") from None


def read_object(path: Path, kind: str, most_bytes: int | None = MOST_BYTES) -> dict[str, Any]:
    """The fields of a JSON file that holds an object; :class:`LatteError` as of :func:`read_json`, or if it is none."""
    content = read_json(path, kind, most_bytes)
    if not isinstance(content, dict):
        raise LatteError(f"{kind} {path} must hold a JSON object of fields")
    return content


def read_schema(path: Path, kind: str, schema: str) -> dict[str, Any]:
    """The fields of a JSON file whose ``schema`` is the given one.

    Raises :class:`LatteError` as :func:`read_json` does, and when it is of another schema.
    """
    content = read_json(path, kind)
    if not isinstance(content, dict) or content.get("schema") != schema:
        raise LatteError(f"{kind} {path} is not of the schema {schema}")
    return content
