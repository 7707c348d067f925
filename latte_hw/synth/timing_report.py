"""nextpnr's JSON report: highest clock frequency, utilisation, and the critical path named by module."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from latte_hw.errors import LatteError

CLOCK = "clk"


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
