"""Which core works on which head: K/V head g in core g mod C, its query heads there one after the other."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.config.top import TopConfig
from latte_hw.core.payloads import Payloads
from latte_hw.lib.arith import multiple
from latte_hw.params import HeadParams
from latte_hw.system.payloads import LayerPayloads


class PacketTurns(wiring.Component):
    """Whose turn it is on a stream of packets, head-major: `i_repeat` packets per core, core 0 first.

    Where a packet holds a whole layer, the rows of a head count as a packet here.

    Members
    -------
    i_begin, i_packets, i_repeat
        Begin a layer of so many packets.
    i_next
        The present packet has passed.
    o_active, o_core, o_last
        A packet is due, which core it belongs to (bit c for core c), and whether it is the last one.
    """

    def __init__(self, config: TopConfig) -> None:
        count = LayerPayloads(config).plan["heads"].shape
        super().__init__(
            {
                "i_begin": In(1),
                "i_packets": In(count),
                "i_repeat": In(count),
                "i_next": In(1),
                "o_active": Out(1),
                "o_core": Out(config.cores),
                "o_last": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        left = Signal.like(self.i_packets)
        repeats = Signal.like(self.i_repeat)
        m.d.comb += self.o_last.eq(left == 1)
        with m.If(self.i_begin):
            m.d.sync += [self.o_active.eq(1), self.o_core.eq(1), left.eq(self.i_packets), repeats.eq(self.i_repeat)]
        with m.Elif(self.i_next):
            m.d.sync += [left.eq(left - 1), self.o_active.eq(~self.o_last), repeats.eq(repeats - 1)]
            with m.If(repeats == 1):
                m.d.sync += repeats.eq(self.i_repeat)
                m.d.sync += self.o_core.eq(self.o_core.rotate_left(1))
        return m


class CoreSchedule(wiring.Component):
    """Loads and jobs of one core for the plan at hand.

    If the core still holds K and V of a command with `keep`, a new layer releases them first, by a job without
    queries. When K and V grow by a row, the jobs wait until it is there.

    Members
    -------
    i_begin, i_plan
        See :class:`latte_hw.system.control.LayerControl`; `i_plan` must hold.
    o_load, o_job
        To the head core.
    i_loading
        From the head core.
    o_working
        Jobs are left, the present one included.
    """

    def __init__(self, config: TopConfig, core: int) -> None:
        self.config = config
        self.core = core
        payloads = Payloads(HeadParams(config.head_config))
        super().__init__(
            {
                "i_begin": In(1),
                "i_plan": In(LayerPayloads(config).plan),
                "o_load": Out(stream.Signature(payloads.append_load)),
                "o_job": Out(stream.Signature(payloads.job)),
                "i_loading": In(1),
                "o_working": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        cores, plan = self.config.cores, self.i_plan
        wide = range(2 * self.config.table_entries + cores)
        load_head = Signal(wide)
        job_kv_head = Signal(wide)
        job_head = Signal(wide)
        head_in_group = Signal.like(plan.group)
        loads = Signal()
        held = Signal()
        releasing = Signal()
        mine = self.core < plan.kv_heads

        m.d.comb += [
            self.o_load.valid.eq(loads),
            self.o_load.payload.n_keys.eq(plan.n_keys),
            self.o_load.payload.append.eq(plan.append),
        ]
        with m.If(self.o_load.valid & self.o_load.ready):
            m.d.sync += [load_head.eq(load_head + cores), loads.eq(load_head + cores < plan.kv_heads)]

        job, ends = self.o_job.payload, self.o_job.valid & self.o_job.ready
        group_ends = head_in_group == plan.group - 1
        m.d.comb += [
            self.o_job.valid.eq(releasing | (self.o_working & ~(plan.append & (loads | self.i_loading)))),
            job.head.eq(Cat(job_head[: len(job.head) - 1], plan.bank)),
            job.n_queries.eq(Mux(releasing, 0, plan.n_queries)),
            job.causal_offset.eq(plan.causal_offset),
            job.release.eq(releasing | (group_ends & ~plan.keep)),
        ]
        with m.If(ends & releasing):
            m.d.sync += [releasing.eq(0), held.eq(0)]
        with m.Elif(ends):
            m.d.sync += [head_in_group.eq(head_in_group + 1), job_head.eq(job_head + 1)]
            with m.If(group_ends):
                next_kv_head = job_kv_head + cores
                m.d.sync += [
                    head_in_group.eq(0),
                    job_kv_head.eq(next_kv_head),
                    job_head.eq(job_head + 1 + multiple(plan.group, cores - 1)),
                    self.o_working.eq(next_kv_head < plan.kv_heads),
                    held.eq(plan.keep),
                ]
        with m.If(self.i_begin):
            m.d.sync += [
                loads.eq(mine),
                self.o_working.eq(mine),
                releasing.eq(held & ~plan.append),
                load_head.eq(self.core),
                job_kv_head.eq(self.core),
                job_head.eq(multiple(plan.group, self.core)),
                head_in_group.eq(0),
            ]
        return m
