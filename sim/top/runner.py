"""Runs a scenario, synchronous code on a driver, against the emitted multi-head core in a Verilog simulator."""

import json
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from latte_hw.config.errors import LatteError
from latte_hw.config.top import TopConfig
from latte_hw.driver.core import config_of
from latte_hw.emit import top as emit_top
from latte_hw.emit.packages.core_files import TOP
from latte_hw.system.top import LatteTop
from sim.simulators import builds, runner

RESET_CYCLES = 4


@lru_cache(maxsize=16)
def verilog_of(config: TopConfig) -> str:
    """The emitted text; emitting a full-size core takes many seconds."""
    return emit_top.to_verilog(LatteTop(config))


@dataclass(frozen=True)
class Part:
    """A scenario on one core of a design, whose ports begin with `prefix`, all but the clock.

    `scenario` is `module:function`, called as `function(bench, **arguments)` with a :class:`sim.top.bench.TopBench`;
    arguments and result are plain data. `idle` and `stall` are of :data:`sim.top.transport.PACES`. The reset is active
    in `reset_cycles` clock cycles.
    """

    config: TopConfig
    scenario: str
    arguments: dict[str, Any]
    idle: str = "none"
    stall: str = "none"
    seed: int = 0
    prefix: str = ""
    reset_cycles: int = RESET_CYCLES

    def order(self) -> dict[str, Any]:
        """As plain data."""
        return {**vars(self), "config": self.config.model_dump(mode="json")}


def run(
    config: TopConfig,
    scenario: str,
    *,
    simulator: str = "verilator",
    seed: int = 0,
    idle: str = "none",
    stall: str = "none",
    verilog: Path | None = None,
    top: str = TOP,
    reset_cycles: int = RESET_CYCLES,
    **arguments: Any,
) -> dict[str, Any]:
    """`result`, `cycles` and `seconds` of a scenario; see :class:`Part`.

    `verilog` is the emitted file, whose top module is called `top`; without it, it is emitted here. What the scenario
    raises is an :class:`AssertionError` here, with its traceback.
    """
    part = Part(config, scenario, arguments, idle, stall, seed, reset_cycles=reset_cycles)
    builds.check(simulator)
    with tempfile.TemporaryDirectory(prefix="latte-top-") as name:
        if verilog is None:
            verilog = Path(name) / f"{top}.v"
            verilog.write_text(verilog_of(config))
        (summary,) = run_parts(verilog, top, [part], simulator=simulator)
    return summary


def run_parts(
    verilog: Path,
    top: str,
    parts: list[Part],
    *,
    simulator: str = "verilator",
    standard: str | None = None,
    quick: bool = False,
) -> list[dict[str, Any]]:
    """Scenarios on the cores of the design `top`, all at once: what :func:`run` gives, of each.

    `standard` and `quick` are of :func:`sim.simulators.builds.build`.
    """
    folder = builds.build(verilog, top, simulator, standard, quick)
    with tempfile.TemporaryDirectory(prefix="latte-top-") as name:
        work = Path(name)
        (work / "order.json").write_text(json.dumps([part.order() for part in parts]))
        with runner.process(folder, top, simulator, parts[0].seed, work, "sim.top.bench") as simulation:
            simulation.wait()
        try:
            summaries: list[dict[str, Any]] = json.loads((work / "result.json").read_text())
        except OSError:
            log = (work / "log").read_text(errors="replace").strip()[-2000:]
            raise LatteError(f"the {simulator} simulation ended without a result: {log}") from None
    for part, summary in zip(parts, summaries, strict=True):
        assert summary["error"] is None, f"{simulator}, {part.prefix}{part.scenario}: {summary['error']}"
    return summaries


def run_generated(folder: Path, scenario: str, **options: Any) -> dict[str, Any]:
    """The same as :func:`run` on what `latte generate --core top` has written into `folder`.

    Raises :class:`LatteError` unless the folder has one multi-head core.
    """
    names = sorted(path.stem for path in folder.glob("*.core"))
    if len(names) != 1:
        raise LatteError(f"folder {folder} must have one multi-head core, not {len(names)} ({', '.join(names)})")
    (top,) = names
    config = config_of(folder / f"{top}.json")
    return run(config, scenario, verilog=folder / f"{top}.v", top=top, **options)
