"""The AXI4-Lite adapter in front of a plain memory that takes its time, and an independent manager that does, too."""

from random import Random
from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In
from amaranth.sim import Simulator

from latte_hw.lib.axi.lite import LiteAdapter, LiteSignature
from sim.lib.axi_lite import OKAY, SLVERR, LiteManager, Response, Write
from sim.lib.streams import Flow

ADDRESS_BITS = 8
WORDS = 48
"""Of 64 that can be addressed: the others are errors."""


class MemoryBehindLite(wiring.Component):
    """`WORDS` words; an access takes `wait` cycles."""

    s_axil: In(LiteSignature(ADDRESS_BITS))

    def __init__(self, wait: int = 1) -> None:
        self.wait = wait
        super().__init__()

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        m.submodules.lite = lite = LiteAdapter(ADDRESS_BITS)
        m.submodules.memory = words = Memory(shape=32, depth=WORDS, init=[])
        wiring.connect(m, wiring.flipped(self.s_axil), lite.s_axil)
        write_port, read_port = words.write_port(), words.read_port(domain="comb")
        access, waited = lite.o_access, Signal(range(self.wait + 1))
        m.d.comb += [
            access.done.eq(access.valid & (waited == self.wait)),
            access.error.eq(access.address >= WORDS),
            access.data.eq(read_port.data | 0x8000_0000 * (access.address >= WORDS)),
            read_port.addr.eq(access.address),
            write_port.addr.eq(access.address),
            write_port.data.eq(access.write_data),
            write_port.en.eq(access.done & access.write & ~access.error),
        ]
        with m.If(access.valid & ~access.done):
            m.d.sync += waited.eq(waited + 1)
        with m.Else():
            m.d.sync += waited.eq(0)
        return m


def run(bench: Any, block: wiring.Component, flow: str = Flow.FREE, seed: int = 0, **options: Any) -> LiteManager:
    manager = LiteManager(block.s_axil, flow, seed, **options)

    async def testbench(context: Any) -> None:
        await bench(context, manager)
        await manager.step(context, 20)

    simulator = Simulator(block)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return manager


@pytest.mark.each_choice
@pytest.mark.parametrize("pace", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("wait", [0, 1, 3])
@pytest.mark.parametrize("flow", Flow)
def test_random_transactions_against_a_dictionary(flow, wait, pace):
    rng, stored = Random(f"{flow}/{wait}/{pace}"), {}

    def expect(write: Write) -> Response:
        if write.address % 4 or write.address >= 4 * WORDS or write.strobes != 0b1111:
            return Response(SLVERR)
        stored[write.address] = write.data
        return Response(OKAY)

    async def bench(context: Any, manager: LiteManager) -> None:
        for _ in range(10):
            writes = [
                Write(
                    rng.randrange(1 << ADDRESS_BITS) & ~(3 * (rng.random() < 0.8)),
                    rng.getrandbits(32),
                    0b1111 if rng.random() < 0.8 else rng.randrange(16),
                )
                for _ in range(8)
            ]
            written, _ = await manager.exchange(context, writes)
            assert written == [expect(write) for write in writes]
            addresses = [rng.choice([*stored, 4 * WORDS, 5]) for _ in range(8)]
            # writes elsewhere go on meanwhile
            _, read = await manager.exchange(context, [Write(252, 1), Write(6, 1)], addresses)
            assert read == [Response(OKAY, stored[a]) if a in stored else Response(SLVERR) for a in addresses]

    run(bench, MemoryBehindLite(wait), flow, seed=1, pace=pace)


def test_reads_and_writes_take_turns():
    async def bench(context: Any, manager: LiteManager) -> None:
        await manager.exchange(context, [Write(0, 1)] * 6, [0] * 6)

    manager = run(bench, MemoryBehindLite())
    moved = sorted([(cycle, "b") for cycle in manager.cycles("b")] + [(cycle, "r") for cycle in manager.cycles("r")])
    kinds = "".join(kind for _, kind in moved)
    assert kinds in ("br" * 6, "rb" * 6)


@pytest.mark.parametrize("wait", [0, 2])
def test_latency_is_3_cycles_and_the_access(wait):
    async def bench(context: Any, manager: LiteManager) -> None:
        await manager.step(context, 3)
        await manager.write(context, 4, 5)
        await manager.read(context, 4)

    manager = run(bench, MemoryBehindLite(wait))
    assert manager.cycles("b")[0] - manager.cycles("aw")[0] == 3 + wait
    assert manager.cycles("r")[0] - manager.cycles("ar")[0] == 3 + wait


def test_no_output_depends_on_an_input_of_the_same_cycle():
    """Outputs are noted before and after every input is inverted in mid-cycle."""

    def outputs(context: Any, port: Any) -> list[int]:
        names = ("awready", "wready", "bvalid", "bresp", "arready", "rvalid", "rdata", "rresp")
        return [context.get(getattr(port, name)) for name in names]

    block = MemoryBehindLite()
    inputs = ("awvalid", "wvalid", "bready", "arvalid", "rready", "wstrb", "awaddr", "araddr", "wdata")

    def flip(context: Any, _cycle: int) -> None:
        before = outputs(context, block.s_axil)
        driven = [context.get(getattr(block.s_axil, name)) for name in inputs]
        for name, value in zip(inputs, driven, strict=True):
            context.set(getattr(block.s_axil, name), ~value & ((1 << len(getattr(block.s_axil, name))) - 1))
        assert outputs(context, block.s_axil) == before
        for name, value in zip(inputs, driven, strict=True):
            context.set(getattr(block.s_axil, name), value)

    async def bench(context: Any, manager: LiteManager) -> None:
        await manager.exchange(context, [Write(4 * i, i) for i in range(10)], [0] * 10)

    run(bench, block, Flow.BOTH, seed=3, each_cycle=flip)
