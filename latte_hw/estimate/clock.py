"""The clock frequency that place and route found for a core, where one is on record."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latte_hw.config import CoreConfig

RECORDS = Path(__file__).parents[2] / "docs" / "results" / "synth"
"""Results of `latte synth`, in a checkout of the repository."""


def on_record(config: CoreConfig, records: Path = RECORDS) -> tuple[float, str] | None:
    """Median MHz of a whole core of exactly this configuration, and the file that says so; None if there is none."""
    for path, result in _results(records):
        routed = result.get("place_and_route")
        whole = result.get("core") == config.core.value and result.get("block") == "head"
        if routed and whole and result.get("config_sha256") == config.sha256():
            return float(routed["fmax_mhz_median"]), path.name
    return None


def _results(records: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(records.glob("*.json")):
        yield path, json.loads(path.read_text())
