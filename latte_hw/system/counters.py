"""Totals of a multi-head core: what the cores did, and how long the core was busy or stalled."""

from typing import Any

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.config.top import TopConfig
from latte_hw.params.widths import unsigned_bits
from latte_hw.system.events import CORE_COUNTERS, WHOLE_COUNTERS
from latte_hw.system.payloads import LayerPayloads


class LayerCounters(wiring.Component):
    """Adds up what the head cores count, per core and over all, and cycles with `i_busy` and the like.

    The sums over the cores and the counters of the cores change in the same cycle, two cycles behind the cores' own.

    Members
    -------
    i_cores
        Counters of the head cores; they may wrap.
    i_cycles_busy, i_stalled_input, i_stalled_output
        Conditions whose cycles are counted, one cycle behind.
    o_counters
        The totals.
    """

    def __init__(self, config: TopConfig) -> None:
        self.config = config
        payloads = LayerPayloads(config)
        super().__init__(
            {f"i_{name}": In(1) for name in WHOLE_COUNTERS}
            | {
                "i_cores": In(data.ArrayLayout(payloads.head_counters, config.cores)),
                "o_counters": Out(payloads.counters),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        total = Signal(self.o_counters.shape())
        m.d.comb += self.o_counters.eq(total)
        for name in WHOLE_COUNTERS:
            with m.If(getattr(self, f"i_{name}")):
                m.d.sync += total[name].eq(total[name] + 1)

        # What a core counts in a cycle is a small number, so few bits of its counters are enough.
        config = self.config
        bits = unsigned_bits(config.keys_per_cycle * config.queries_per_scan * config.kept_per_cycle)
        for name in CORE_COUNTERS:
            steps = []
            for core in range(self.config.cores):
                now, before = self.i_cores[core][name][:bits], Signal(bits, name=f"{name}_{core}_before")
                step = Signal(unsigned(bits), name=f"{name}_{core}_step")
                m.d.sync += [
                    before.eq(now),
                    step.eq(now - before),
                    total.cores[core][name].eq(total.cores[core][name] + step),
                ]
                steps.append(step)
            m.d.sync += total[name].eq(total[name] + sum(steps))
        return m
