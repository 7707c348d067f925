"""Reading JSON files: any, and those that this package writes, each of which names its schema."""

import json
from pathlib import Path
from typing import Any

from latte_hw.config.errors import LatteError


def read_json(path: Path, kind: str) -> Any:
    """What a JSON file holds; ``kind`` is what to call the file.

    Raises :class:`LatteError` when it cannot be read or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LatteError(f"{kind} {path} cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise LatteError(f"{kind} {path} is not JSON") from None


def read_schema(path: Path, kind: str, schema: str) -> dict[str, Any]:
    """The fields of a JSON file whose ``schema`` is the given one.

    Raises :class:`LatteError` as :func:`read_json` does, and when it is of another schema.
    """
    content = read_json(path, kind)
    if not isinstance(content, dict) or content.get("schema") != schema:
        raise LatteError(f"{kind} {path} is not of the schema {schema}")
    return content
