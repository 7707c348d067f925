# amaranth: UnusedElaboratable=no
"""The ready/valid glue: order, no loss, latency and throughput under every flow."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.lib.register_slices import SkidBuffer
from latte_hw.lib.streams import FAN_OUT_COPIES, CreditFifo, Fifo, StreamRegister, delayed, fan_out, fork_ready
from latte_hw.params import fifo_latency
from sim.blocks.block_bench import run_block
from sim.lib.streams import Flow

ITEMS = list(range(1, 100))


class Pipeline(wiring.Component):
    """A pipeline of `latency` registers that lands in a CreditFifo and drops every multiple of `dropped`."""

    def __init__(self, depth: int, latency: int, dropped: int = 0) -> None:
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))})
        self.depth, self.latency, self.dropped = depth, latency, dropped

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        m.submodules.landing = landing = CreditFifo(8, self.depth)
        wiring.connect(m, landing.o, wiring.flipped(self.o))
        sent = self.i.valid & landing.o_credit
        arrived = delayed(m, sent, self.latency, "sent")
        item = delayed(m, self.i.payload, self.latency, "item")
        drop = item % self.dropped == 0 if self.dropped else 0
        m.d.comb += [
            self.i.ready.eq(landing.o_credit),
            landing.i_take.eq(sent),
            landing.i.payload.eq(item),
            landing.i.valid.eq(arrived & ~drop),
            landing.i_return.eq(arrived & drop),
        ]
        return m


class Fork(wiring.Component):
    """One stream into three queues of different depth."""

    def __init__(self, late: bool) -> None:
        self.late = late
        outputs = {f"o{n}": Out(stream.Signature(8)) for n in range(3)}
        super().__init__({"i": In(stream.Signature(8)), "happens": Out(1), **outputs})

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        queues = [Fifo(8, depth) for depth in (2, 3, 6)]
        for number, queue in enumerate(queues):
            m.submodules[f"queue_{number}"] = queue
            m.d.comb += queue.i.payload.eq(self.i.payload + number)
            wiring.connect(m, queue.o, wiring.flipped(getattr(self, f"o{number}")))
        m.d.comb += self.happens.eq(fork_ready(m, self.i.valid, [queue.i for queue in queues], late=self.late))
        m.d.comb += self.i.ready.eq(self.happens)
        return m


BLOCKS: dict[str, Callable[[], wiring.Component]] = {
    "fifo 2": lambda: Fifo(8, 2),
    "fifo 3": lambda: Fifo(8, 3),
    "fifo 7": lambda: Fifo(8, 7),
    "block RAM": lambda: Fifo(8, 70),
    "register": lambda: StreamRegister(8),
    "skid buffer": lambda: SkidBuffer(8),
    "smallest landing": lambda: Pipeline(depth=2, latency=5),
    "landing": lambda: Pipeline(depth=9, latency=5),
    "deep landing": lambda: Pipeline(depth=20, latency=2),
    "landing in block RAM": lambda: Pipeline(depth=70, latency=5),
}


@pytest.mark.parametrize("flow", Flow)
@pytest.mark.parametrize("name", BLOCKS)
def test_every_item_in_order(name, flow):
    run = run_block(BLOCKS[name](), {"i": ITEMS}, {"o": len(ITEMS)}, flow=flow, seed=3)
    assert run.outputs["o"] == ITEMS


@pytest.mark.parametrize("flow", Flow)
@pytest.mark.parametrize("depth", [2, 3, 8])
def test_cancelled_reservations_come_back(depth, flow):
    kept = [item for item in ITEMS if item % 3]
    run = run_block(Pipeline(depth, latency=4, dropped=3), {"i": ITEMS}, {"o": len(kept)}, flow=flow, seed=1)
    assert run.outputs["o"] == kept


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("flow", Flow)
def test_fork_moves_in_all_or_none(flow, late):
    expected = {f"o{n}": len(ITEMS) for n in range(3)}
    run = run_block(Fork(late), {"i": ITEMS}, expected, flow=flow, seed=2, watch=["happens"])
    for number in range(3):
        assert run.outputs[f"o{number}"] == [item + number for item in ITEMS]
    assert [cycle for cycle, happens in enumerate(run.watched["happens"]) if happens] == run.cycles["i"]


def distances(cycles: list[int]) -> set[int]:
    return {after - before for before, after in pairwise(cycles)}


@pytest.mark.parametrize(
    "name", ["fifo 3", "fifo 7", "block RAM", "register", "skid buffer", "landing", "landing in block RAM"]
)
def test_throughput_is_one_item_per_cycle(name):
    run = run_block(BLOCKS[name](), {"i": ITEMS}, {"o": len(ITEMS)})
    assert distances(run.cycles["i"]) == {1}
    assert distances(run.cycles["o"]) == {1}


@pytest.mark.parametrize("latency", [0, 1, 2, 5])
def test_full_throughput_needs_the_latency_plus_4(latency):
    for depth, full in ((latency + 4, True), (latency + 3, False)):
        run = run_block(Pipeline(depth, latency), {"i": ITEMS}, {"o": len(ITEMS)})
        assert (distances(run.cycles["o"]) == {1}) == full


@pytest.mark.parametrize(
    ("make", "latency"),
    [(lambda: Fifo(8, 2), 2), (lambda: Fifo(8, 64), 2), (lambda: Fifo(8, 65), 5),
     (lambda: StreamRegister(8), 1), (lambda: SkidBuffer(8), 1), (lambda: Pipeline(9, 4), 4 + fifo_latency(9))],
)  # fmt: skip
def test_latency(make, latency):
    run = run_block(make(), {"i": [7]}, {"o": 1})
    assert run.cycles["o"][0] - run.cycles["i"][0] == latency


def test_a_skid_buffer_holds_two_items():
    with pytest.raises(AssertionError, match=f"i has {len(ITEMS) - 2} left"):
        run_block(NoReader(SkidBuffer(8)), {"i": ITEMS}, {}, cycle_limit=50)


@pytest.mark.parametrize("depth", [2, 3, 4, 7, 64, 65, 80])
def test_fifo_holds_depth_items(depth):
    with pytest.raises(AssertionError, match=f"i has {len(ITEMS) - depth - 3 * (depth > 64)} left"):
        run_block(NoReader(Fifo(8, depth)), {"i": ITEMS}, {}, cycle_limit=200)


@pytest.mark.parametrize("depth", [2, 3, 7, 70])
def test_credits_are_for_the_words_in_ram(depth):
    left = len(ITEMS) - Fifo(8, depth).words
    with pytest.raises(AssertionError, match=f"i has {left} left"):
        run_block(NoReader(Pipeline(depth, latency=3)), {"i": ITEMS}, {}, cycle_limit=200)


class NoReader(wiring.Component):
    """A block whose output nobody takes."""

    def __init__(self, block: wiring.Component) -> None:
        super().__init__({"i": In(stream.Signature(8))})
        self.block = block

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        m.submodules.block = self.block
        wiring.connect(m, wiring.flipped(self.i), self.block.i)
        return m


def test_fifo_refuses_a_depth_of_one():
    with pytest.raises(ValueError, match="Fifo depth must be at least 2, not 1"):
        Fifo(8, 1)


@pytest.mark.parametrize("cycles", [0, 1, 4])
def test_delayed_starts_at_zero(cycles):
    class Delay(wiring.Component):
        i: In(stream.Signature(8))
        o: Out(8)

        def elaborate(self, _platform: Any) -> Module:
            m = Module()
            m.d.comb += [self.i.ready.eq(1), self.o.eq(delayed(m, self.i.payload, cycles, "item"))]
            m.d.sync += Signal().eq(1)  # a clock, even without a register
            return m

    run = run_block(Delay(), {"i": ITEMS}, {}, watch=["o"])
    assert run.watched["o"][: len(ITEMS) + cycles] == [0] * cycles + ITEMS


def test_fan_out_is_the_value_a_cycle_later_in_registers_that_stay_apart():
    copies: list[Signal] = []

    class FanOut(wiring.Component):
        i: In(stream.Signature(8))
        o: Out(8 * FAN_OUT_COPIES)

        def elaborate(self, _platform: Any) -> Module:
            m = Module()
            copies[:] = fan_out(m, self.i.payload, "item")
            m.d.comb += [self.i.ready.eq(1), self.o.eq(Cat(copies))]
            return m

    run = run_block(FanOut(), {"i": ITEMS}, {}, watch=["o"])
    everywhere = sum(1 << 8 * copy for copy in range(FAN_OUT_COPIES))
    assert run.watched["o"][1 : len(ITEMS) + 1] == [item * everywhere for item in ITEMS]
    assert len({(copy.init, copy.reset_less) for copy in copies}) == len(copies) == FAN_OUT_COPIES


def test_the_bench_notices_an_offer_that_changes():
    class Counter(wiring.Component):
        o: Out(stream.Signature(8))

        def elaborate(self, _platform: Any) -> Module:
            m = Module()
            m.d.comb += self.o.valid.eq(1)
            m.d.sync += self.o.payload.eq(self.o.payload + 1)
            return m

    with pytest.raises(AssertionError, match="o did not hold its offer until cycle"):
        run_block(Counter(), {}, {"o": 20}, flow=Flow.STALLED)


def test_the_bench_notices_an_item_too_many():
    with pytest.raises(AssertionError, match="o delivered 99 of 98"):
        run_block(Fifo(8, 4), {"i": ITEMS}, {"o": len(ITEMS) - 1})


def test_the_bench_notices_a_lost_item():
    with pytest.raises(AssertionError, match="o delivered 99 of 100"):
        run_block(Fifo(8, 4), {"i": ITEMS}, {"o": len(ITEMS) + 1}, cycle_limit=200)
