"""Runs a register file in Amaranth's simulator, with a stand-in for the cores behind it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from amaranth.sim import Simulator

from latte_hw.system.csr.register_file import RegisterFile
from latte_hw.system.csr.view import RegisterView
from latte_hw.system.events import CORE_COUNTERS, COUNTERS
from sim.lib.axi_lite import OKAY, LiteManager, Response
from sim.lib.streams import Flow

Entry = tuple[int, int, int]
"""Threshold, mantissa and shift of a table entry."""


@dataclass
class Cores:
    """A layer takes `run_cycles`, the checking of a START `check_cycles` of them. Notes what the registers ask for.

    `refuses` says of which STARTs, counted from 0: they raise `length_zero` and leave the banks as they are.

    `events` and `totals` are driven in every cycle: names of errors to raise in it, or `done`, and what each counter
    shows.
    """

    file: Any
    run_cycles: int = 30
    check_cycles: int = 1
    refuses: Callable[[int], bool] = lambda _start: False
    events: Callable[[int], set[str]] = lambda _cycle: set()
    totals: Callable[[int, int, str], int] | None = None  # of cycle, core (−1: all) and counter
    commands: list[tuple[int, str, dict[str, int]]] = field(default_factory=list)
    """Cycle, name and layer of each pulse."""
    layers: list[dict[int, Entry]] = field(default_factory=list)
    """The bank in use at the start of each layer."""
    irq: list[int] = field(default_factory=list)
    banks: list[dict[int, Entry]] = field(default_factory=lambda: [{}, {}])
    bank: int = 0
    starts: int = 0
    _left: int = 0
    _checking: int = 0
    _snapshot: dict[int, Entry] = field(default_factory=dict)

    def each_cycle(self, context: Any, cycle: int) -> None:
        port = self.file
        refuses = self._checking == 1 and self.refuses(self.starts - 1)
        done = self._left == 1 and not self._checking
        context.set(port.i_busy, int(self._left > 0))
        context.set(port.i_checking, int(self._checking > 0))
        context.set(port.i_swapped, int(self._checking == 1 and not refuses))
        context.set(port.i_done, int(done or "done" in self.events(cycle)))
        for name in port.i_errors.shape().members:
            context.set(port.i_errors[name], int(name in self.events(cycle) or (refuses and name == "length_zero")))
        if self.totals:
            for name in COUNTERS:
                context.set(port.i_counters[name], self.totals(cycle, -1, name))
            for core in range(port.i_counters.cores.shape().length):
                for name in CORE_COUNTERS:
                    context.set(port.i_counters.cores[core][name], self.totals(cycle, core, name))
        self.irq.append(context.get(port.o_irq))
        self._after(context, cycle)

    def _after(self, context: Any, cycle: int) -> None:
        """What the coming clock edge does."""
        port = self.file
        if self._checking:
            assert not context.get(port.o_table.valid), f"table written while a START is checked, in cycle {cycle}"
            self._checking -= 1
            if not self._checking and self.refuses(self.starts - 1):
                self._left = 0
            elif not self._checking:
                self.bank = 1 - self.bank
                self.layers.append(dict(self.banks[self.bank]))
                self._snapshot = dict(self.banks[self.bank])
        elif self._left:
            assert self.banks[self.bank] == self._snapshot, f"bank in use changed before cycle {cycle}"
            self._left -= 1
        if context.get(port.o_table.valid):
            entry = port.o_table.payload
            self.banks[not self.bank][context.get(entry.head)] = (
                context.get(entry.threshold),
                context.get(entry.mantissa),
                context.get(entry.shift),
            )
        for name in ("start", "append", "soft_reset"):
            if context.get(getattr(port, f"o_{name}")):
                layer = {part: context.get(port.o_layer[part]) for part in port.o_layer.shape().members}
                self.commands.append((cycle, name, layer))
                self._obey(name)

    def _obey(self, name: str) -> None:
        if name == "soft_reset":
            self._left, self._checking, self.bank = 0, 0, 0
            return
        assert self._left == 0, f"{name} while busy"
        self._left = self.run_cycles
        if name == "start":
            self.starts += 1
            self._checking = self.check_cycles
        self._snapshot = dict(self.banks[self.bank])


class RegisterBench:
    """Registers by their path, over AXI4-Lite."""

    def __init__(self, file: RegisterFile, flow: str = Flow.FREE, seed: int = 0, **cores: Any) -> None:
        self.view = RegisterView(file.registers)
        self.cores = Cores(file, **cores)
        self.manager = LiteManager(self.cores.file.s_axil, flow, seed, each_cycle=self.cores.each_cycle)
        self._file = file
        self._context: Any = None

    def run(self, bench: Callable[["RegisterBench"], Awaitable[None]]) -> None:
        async def testbench(context: Any) -> None:
            self._context = context
            await bench(self)
            await self.step(10)

        simulator = Simulator(self._file)
        simulator.add_clock(1e-6)
        simulator.add_testbench(testbench)
        simulator.run()

    async def step(self, cycles: int = 1) -> None:
        await self.manager.step(self._context, cycles)

    async def put(self, path: str, code: int = OKAY, **values: int) -> None:
        """Write the fields of a register; the response must be `code`."""
        word = self.view.pack(path, values)
        assert await self.manager.write(self._context, self.view.address(path), word) == code, path

    async def get(self, path: str) -> dict[str, int]:
        """The fields of a register."""
        response = await self.manager.read(self._context, self.view.address(path))
        assert response.code == OKAY, path
        return self.view.unpack(path, response.data)

    async def raw_read(self, address: int) -> Response:
        return await self.manager.read(self._context, address)

    async def raw_write(self, address: int, data: int, strobes: int = 0b1111) -> int:
        return await self.manager.write(self._context, address, data, strobes)

    async def until_idle(self) -> None:
        while not (await self.get("status"))["idle"]:
            pass
