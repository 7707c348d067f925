"""The cocotb side: moves a :class:`HeadHarness` through the clock cycles of the emitted Verilog.

Runs inside the simulator. Its inputs and results are files of one folder, named by ``LATTE_SIM_WORK``; see
:mod:`sim.simulators.runner`, which writes and reads them.

Sampling is free of races by cocotb's own rule: at a rising edge a read gives the value before the edge and a write
takes effect after it. One wake-up a cycle, raw handles instead of ``.value`` (which builds a LogicArray on each read)
and writes on change only are what make it fast.
"""

import json
import os
from pathlib import Path
from time import process_time
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from sim.head.harness import HangError, HeadHarness, Options
from sim.head.pins import Pins, Read, Write
from sim.head.traffic import Traffic
from sim.lib.layout import Description
from sim.lib.streams import Flow

WORK_VARIABLE = "LATTE_SIM_WORK"
RESET_CYCLES = 4
PROGRESS_CYCLES = 2048


class UnknownValueError(Exception):
    """An output that must be 0 or 1 was X or Z."""


def _read(dut: Any, name: str) -> Read:
    read = getattr(dut, name)._handle.get_signal_val_binstr

    def integer() -> int:
        try:
            return int(read(), 2)
        except ValueError:
            raise UnknownValueError(f"{name} is {read()}") from None

    return integer


def _write(dut: Any, name: str) -> Write:
    return getattr(dut, name).set  # type: ignore[no-any-return]


@cocotb.test()
async def run(dut: Any) -> None:
    """Reset, then run until the harness has everything that it asked for, or something is wrong."""
    work = Path(os.environ[WORK_VARIABLE])
    order = json.loads((work / "order.json").read_text())
    description = Description.load(Path(order["description"]))
    options = Options(**order["options"] | {"flow": Flow(order["options"]["flow"])})
    harness = HeadHarness(description, Traffic.load(work / "traffic.npz"), options)
    dut.rst.value = 1
    pins = Pins(harness, lambda name: _read(dut, name), lambda name: _write(dut, name))
    Clock(dut.clk, 2, "step").start(start_high=False)
    edge = RisingEdge(dut.clk)
    for _ in range(RESET_CYCLES):
        await edge
    dut.rst.value = 0
    started = process_time()
    error = None
    try:
        while not harness.finished:
            await edge
            pins.sample()
            pins.drive()
            if harness.cycle % PROGRESS_CYCLES == 0:
                (work / "progress").write_text(str(harness.rows_done))
    except HangError as problem:
        error = str(problem)
    except UnknownValueError as problem:
        error = f"cycle {harness.cycle}: {problem}"
    harness.recording().save(work / "recording.npz")
    (work / "result.json").write_text(json.dumps({"error": error, "seconds": process_time() - started}))
