"""The cocotb side of :mod:`sim.top.runner`: resets the core, then runs a scenario of synchronous code on its driver."""

import importlib
import json
import os
import traceback
import warnings
from pathlib import Path
from time import perf_counter
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.task import bridge
from cocotb.triggers import ClockCycles

from latte_hw.config.top import TopConfig
from latte_hw.driver import Latte
from sim.head.bench import WORK_VARIABLE
from sim.top.transport import CLOCK_STEPS, CYCLE_SECONDS, CocotbTransport, reset_of

PATIENCE_CYCLES = 20_000
"""Cycles without any packet, beyond a head that keeps every key of every query, after which the driver gives up."""


class TopBench:
    """What a scenario is given: the core's configuration, a transport, and a driver on it."""

    def __init__(self, dut: Any, config: TopConfig, transport: CocotbTransport) -> None:
        self.dut = dut
        self.config = config
        self.transport = transport
        self.latte = self.new_driver()

    def new_driver(self) -> Latte:
        """A driver that knows nothing of what the core has done before."""
        return Latte(self.transport, self.config, (PATIENCE_CYCLES + self.config.max_keys**2) * CYCLE_SECONDS)


@cocotb.test()
async def run(dut: Any) -> None:
    """Run the scenario of each of the cores in `order.json`, all at once; their results go to `result.json`."""
    warnings.simplefilter("ignore", DeprecationWarning)  # cocotbext-axi still uses old names of cocotb
    work = Path(os.environ[WORK_VARIABLE])
    parts = json.loads((work / "order.json").read_text())
    for reset, active_high in (reset_of(dut, part["prefix"]) for part in parts):
        reset.value = int(active_high)
    transports = [CocotbTransport(dut, part["idle"], part["stall"], part["seed"], part["prefix"]) for part in parts]
    Clock(dut.clk, CLOCK_STEPS, "step").start(start_high=False)
    plays = [cocotb.start_soon(_play(dut, *each)) for each in zip(parts, transports, strict=True)]
    (work / "result.json").write_text(json.dumps([await play for play in plays]))


async def _play(dut: Any, part: dict[str, Any], transport: CocotbTransport) -> dict[str, Any]:
    """Reset one core, then run a scenario, `module:function`, with its arguments on it."""
    reset, active_high = reset_of(dut, part["prefix"])
    await ClockCycles(dut.clk, part["reset_cycles"])
    reset.value = int(not active_high)
    await ClockCycles(dut.clk, 2)
    config = TopConfig.model_validate(part["config"])
    module, _, function = part["scenario"].partition(":")
    scenario = getattr(importlib.import_module(module), function)
    started, error, result = perf_counter(), None, None

    def play() -> Any:
        return scenario(TopBench(dut, config, transport), **part["arguments"])

    try:
        result = await bridge(play)()
    except Exception:
        error = traceback.format_exc()
    return {"error": error, "result": result, "seconds": perf_counter() - started, "cycles": transport.cycle}
