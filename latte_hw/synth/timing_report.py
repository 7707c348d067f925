"""nextpnr's JSON report: highest clock frequency, utilisation, critical path and other slow ends named by module."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from latte_hw.config.errors import LatteError

CLOCK = "clk"

SLOW = 0.85
"""Share of the critical path's delay from which on an end is slow."""

MOST_SLOW_ENDS = 20
"""Groups that are listed."""


@dataclass(frozen=True)
class Step:
    """Consecutive parts of a path in one module."""

    module: str
    delay_ns: float


@dataclass(frozen=True)
class CriticalPath:
    """The slowest path between two registers: cells it runs between, delays, and the modules that it passes."""

    begins: str
    ends: str
    logic_ns: float
    routing_ns: float
    levels: int  # LUTs and other cells between the registers
    steps: tuple[Step, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "begins": self.begins,
            "ends": self.ends,
            "logic_ns": round(self.logic_ns, 3),
            "routing_ns": round(self.routing_ns, 3),
            "levels": self.levels,
            "modules": [{"module": step.module, "delay_ns": round(step.delay_ns, 3)} for step in self.steps],
        }


@dataclass(frozen=True)
class SlowEnds:
    """Registers and RAMs whose names differ in numbers alone, and that signals reach late: what limits the clock once
    the critical path is fixed."""

    module: str
    latest: str  # the cell that is reached last
    pins: int  # that are reached late
    delay_ns: float  # to the latest, from the clock edge


def fmax_mhz(report: Mapping[str, Any]) -> float:
    """The greatest frequency of the clock; :class:`LatteError` when the report has none."""
    try:
        return float(report["fmax"][_clock(report)]["achieved"])
    except (KeyError, TypeError, ValueError):
        raise LatteError("nextpnr's report holds no frequency: no path between registers was timed") from None


def utilisation(report: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Used and available places of every kind that is used at all."""
    return {
        kind: {"used": place["used"], "available": place["available"]}
        for kind, place in report["utilization"].items()
        if place["used"]
    }


def critical_path(report: Mapping[str, Any], modules: Iterable[str]) -> CriticalPath | None:
    """The path that limits the clock. ``modules`` are the paths of all modules, by which cells are named."""
    edge = f"posedge {_clock(report)}"
    known = sorted(modules, key=len, reverse=True)
    for path in report["critical_paths"]:
        if path["from"] == path["to"] == edge and path["path"]:
            return _read(path["path"], known)
    return None


def slow_ends(report: Mapping[str, Any], modules: Iterable[str]) -> list[SlowEnds]:
    """Whatever is reached after `SLOW` of the longest delay, slowest first, `MOST_SLOW_ENDS` groups at most. The report
    must be a detailed one."""
    edge = f"posedge {_clock(report)}"
    known = sorted(modules, key=len, reverse=True)
    ends = [
        (max(end["delay"]), end["cell"])
        for net in report["detailed_net_timings"]
        for end in net["endpoints"]
        if net["event"] == end["event"] == edge
    ]
    late = SLOW * max(ends)[0] if ends else 0.0
    groups: dict[str, list[tuple[float, str]]] = {}
    for delay, cell in ends:
        if delay >= late:
            groups.setdefault(re.sub(r"\d+", "#", cell), []).append((delay, cell))
    slowest = sorted(((*max(group), len(group)) for group in groups.values()), reverse=True)[:MOST_SLOW_ENDS]
    return [SlowEnds(module_of(cell, known), cell, pins, round(delay, 3)) for delay, cell, pins in slowest]


def _read(parts: list[Mapping[str, Any]], known: list[str]) -> CriticalPath:
    delays = {"routing": 0.0, "logic": 0.0}
    steps: list[Step] = []
    for part in parts:
        delays["routing" if part["type"] == "routing" else "logic"] += part["delay"]
        module = module_of(part["to"]["cell"], known)
        if steps and steps[-1].module == module:
            steps[-1] = Step(module, steps[-1].delay_ns + part["delay"])
        else:
            steps.append(Step(module, part["delay"]))
    return CriticalPath(
        begins=parts[0]["from"]["cell"],
        ends=parts[-1]["to"]["cell"],
        logic_ns=delays["logic"],
        routing_ns=delays["routing"],
        levels=sum(part["type"] == "logic" for part in parts),
        steps=tuple(steps),
    )


def module_of(cell: str, known: list[str]) -> str:
    """The longest module path that the cell's name begins with; the wrapper itself is "". ``known``: longest first."""
    return next((path for path in known if path and cell.startswith(f"{path}.")), "")


def _clock(report: Mapping[str, Any]) -> str:
    clocks = list(report.get("fmax", {}))
    return next((name for name in clocks if name.split("$")[0] == CLOCK), clocks[0] if clocks else CLOCK)
