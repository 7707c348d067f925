"""Reading the JSON files that this package writes: each names its schema."""

import json
from pathlib import Path
from typing import Any

from latte_hw.config.errors import LatteError


def read_json(path: Path, kind: str, schema: str) -> dict[str, Any]:
    """The fields of a JSON file whose ``schema`` is the given one; ``kind`` is what to call the file.

    Raises :class:`LatteError` when it cannot be read, is not JSON, or is of another schema.
    """
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise LatteError(f"{kind} {path} cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise LatteError(f"{kind} {path} is not JSON") from None
    if not isinstance(content, dict) or content.get("schema") != schema:
        raise LatteError(f"{kind} {path} is not of the schema {schema}")
    return content
