"""Runs a scenario, synchronous code on a driver, against the emitted multi-head core in a Verilog simulator."""

import json
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from latte_hw.config.errors import LatteError
from latte_hw.config.top import TopConfig
from latte_hw.driver.core import config_of
from latte_hw.emit import top as emit_top
from latte_hw.system.top import LatteTop
from sim.simulators import builds, runner

RESET_CYCLES = 4


@lru_cache(maxsize=16)
def verilog_of(config: TopConfig) -> str:
    """The emitted text; emitting a full-size core takes many seconds."""
    return emit_top.to_verilog(LatteTop(config))


def run(
    config: TopConfig,
    scenario: str,
    *,
    simulator: str = "verilator",
    seed: int = 0,
    idle: str = "none",
    stall: str = "none",
    verilog: Path | None = None,
    reset_cycles: int = RESET_CYCLES,
    **arguments: Any,
) -> dict[str, Any]:
    """`result`, `cycles` and `seconds` of the function `scenario`, as `module:function`.

    It is called as `function(bench, **arguments)` with a :class:`sim.top.bench.TopBench`; arguments and result are
    plain data. `idle` and `stall` are of :data:`sim.top.transport.PACES`. `verilog` is the
    emitted file; without it, it is emitted here. The reset is active in `reset_cycles` clock cycles. What
    the scenario raises is an :class:`AssertionError` here, with its traceback.
    """
    builds.check(simulator)
    with tempfile.TemporaryDirectory(prefix="latte-top-") as name:
        work = Path(name)
        if verilog is None:
            verilog = work / f"{emit_top.TOP}.v"
            verilog.write_text(verilog_of(config))
        folder = builds.build(verilog, emit_top.TOP, simulator)
        order = {
            "config": config.model_dump(mode="json"),
            "scenario": scenario,
            "arguments": arguments,
            "idle": idle,
            "stall": stall,
            "seed": seed,
            "reset_cycles": reset_cycles,
        }
        (work / "order.json").write_text(json.dumps(order))
        with runner.process(folder, emit_top.TOP, simulator, seed, work, "sim.top.bench") as simulation:
            simulation.wait()
        try:
            summary: dict[str, Any] = json.loads((work / "result.json").read_text())
        except OSError:
            log = (work / "log").read_text(errors="replace").strip()[-2000:]
            raise LatteError(f"the {simulator} simulation ended without a result: {log}") from None
    assert summary["error"] is None, f"{simulator}, {scenario}: {summary['error']}"
    return summary


def run_generated(folder: Path, scenario: str, **options: Any) -> dict[str, Any]:
    """The same on what `latte generate --core top` has written into `folder`."""
    config = config_of(folder / f"{emit_top.TOP}.json")
    return run(config, scenario, verilog=folder / f"{emit_top.TOP}.v", **options)
