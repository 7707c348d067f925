"""An experiment's result file: JSON that says how its figures were made. No PyTorch here.

Fields: ``schema``, ``name``, ``title``, ``question``, ``complete`` (false while the experiment still runs, or was cut
short), ``quick``, ``command``, ``seed``, ``model``, ``data``, ``counted`` (which pairs a share is of), ``formulas``,
``settings``, ``device``, ``versions``, ``seconds``, ``results``.
"""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from golden.files.npz import replacing
from latte_hw.config.json_file import read_schema

SCHEMA = "latte-experiment-1"

COUNTED = (
    "Shares are of valid pairs: a query and a key that it may attend to, over every layer, head and held-out item. "
    "Pairs that a causal mask hides are in neither numerator nor denominator."
)

FORMULAS = {
    "pruned": "1 - kept pairs / valid pairs",
    "perplexity": "exp of the mean negative log-likelihood per token, over held-out windows",
    "change": "figure - figure of dense int8 attention on the same items",
    "loss_change": "mean over items of (loss - loss of dense int8), with a paired bootstrap interval over items",
    "bit_operation_change": "bit operations / (128 · valid pairs) - 1, per pair of query and key and per dimension, an "
    "a×b-bit product counted as a·b; each row says its own numerator in bit_operation_formula",
}


def path_of(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def write(folder: Path, content: dict[str, Any]) -> Path:
    """Write a result file, whole or not at all; returns its path."""
    path = path_of(folder, content["name"])
    with replacing(path) as temporary:
        temporary.write_text(to_json({"schema": SCHEMA, **content}) + "\n")
    return path


def load(folder: Path, name: str) -> dict[str, Any]:
    """Read a result file; :class:`LatteError` when it is missing or none."""
    return read_schema(path_of(folder, name), "result file", SCHEMA)


def command_line(arguments: Sequence[str]) -> str:
    """A command line of `latte experiments` to cite: file and folder names without the folders of this machine.

    ``arguments`` may begin with `experiments` or, from ``python -m golden.experiments``, with what follows it.
    """
    if arguments and arguments[0] == "experiments":
        arguments = arguments[1:]
    shown = [
        "=".join(Path(part).name if Path(part).is_absolute() else part for part in argument.split("="))
        for argument in arguments
    ]
    return shlex.join(["latte", "experiments", *shown])


def to_json(value: Any, indent: int = 0) -> str:
    """Indented JSON in which a list of plain values stays on one line."""
    inner = " " * (indent + 1)
    if isinstance(value, dict) and value:
        entries = [f"{inner}{json.dumps(str(key))}: {to_json(x, indent + 1)}" for key, x in value.items()]
        return "{\n" + ",\n".join(entries) + "\n" + " " * indent + "}"
    if isinstance(value, list) and any(isinstance(x, dict | list) for x in value):
        return "[\n" + ",\n".join(inner + to_json(x, indent + 1) for x in value) + "\n" + " " * indent + "]"
    return json.dumps(value, ensure_ascii=False)
