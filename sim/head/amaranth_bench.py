"""The same harness over Amaranth's own simulator: no Verilog, no external tool, and the slowest of the three."""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.sim import Simulator

from latte_hw.config.errors import MismatchError
from sim.head.harness import HangError, HeadHarness
from sim.head.pins import Pins, Read, Write
from sim.lib.recording import Recording

PROGRESS_CYCLES = 64


def run(head: wiring.Component, harness: HeadHarness, progress: Callable[[int], None] | None = None) -> Recording:
    """Run a harness through a head component (its ports as in the emitted Verilog) and return what was recorded.

    Raises :class:`MismatchError` when the core hangs.
    """
    signals = {
        "_".join(str(part) for part in path): Value.cast(value) for path, _, value in head.signature.flatten(head)
    }

    async def bench(context: Any) -> None:
        def read(name: str) -> Read:
            value = signals[name].as_unsigned()
            return lambda: context.get(value)

        def write(name: str) -> Write:
            value = signals[name]
            return lambda number: context.set(value, number)

        pins = Pins(harness, read, write)
        while not harness.finished:
            pins.sample()
            await context.tick()
            pins.drive()
            if progress is not None and harness.cycle % PROGRESS_CYCLES == 0:
                progress(harness.rows_done)

    simulator = Simulator(head)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    try:
        simulator.run()
    except HangError as problem:
        raise MismatchError(f"amaranth: {problem}") from None
    return harness.recording()
