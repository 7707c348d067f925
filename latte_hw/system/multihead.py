"""Multi-head attention: C head cores behind four AXI4-Stream ports, one layer at a time."""

from collections.abc import Callable
from functools import partial
from typing import Any

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.config.top import Packets, TopConfig
from latte_hw.core.head import LatteHead
from latte_hw.core.payloads import Payloads
from latte_hw.lib.arith import exceeds_split
from latte_hw.lib.axi.rows import RowPacker, RowUnpacker
from latte_hw.lib.axi.stream import AxiStream
from latte_hw.lib.names import numbered
from latte_hw.lib.streams import Fifo, Valid
from latte_hw.params import HeadParams
from latte_hw.system.control import LayerControl
from latte_hw.system.counters import LayerCounters
from latte_hw.system.events import COMMAND_ERRORS, PACKET_KINDS, RANGE_ERRORS
from latte_hw.system.latency import LayerTiming
from latte_hw.system.payloads import ERRORS, LAYER, LayerPayloads
from latte_hw.system.schedule import CoreSchedule, PacketTurns


class MultiHead(wiring.Component):
    """Attention of a layer: `heads` query heads, `group` of them on each K/V head, `n_queries` and `n_keys` rows each.

    Block diagram, for each of the C cores::

        s_axis_k, s_axis_v ──> unpacker ─────────────────┐
                                                         v
        s_axis_q ──> unpacker ──> queue of queries ──> head ──> queue of rows ──> packer ──> m_axis_o

    Packets of K and V, one per K/V head, of Q and O, one per query head, follow in the order of the heads on every
    port; see :mod:`latte_hw.lib.axi.rows` for what is in them. With `packets = layer` the rows of all heads are one
    packet on each port, one head's behind the other's without gaps. An output element takes one byte, or two if it has
    more than 8 bits. K/V head g lies in core g mod C, where its query heads run one after the other. All ports must be
    served independently: a core may wait for its keys while queries of another are due.

    Cores work on different heads at the same time while packets come head after head. So each of several cores has a
    queue of `max_keys` queries and one of as many output rows; no core waits for another's as long as the query heads
    of one K/V head have no more than `max_keys` queries together. With more, cores take turns in part: three query
    heads of `max_keys` queries on each K/V head run 1.55 times as fast on two cores as on one, not twice.

    Members
    -------
    s_axis_q, s_axis_k, s_axis_v, m_axis_o
        AXI4-Stream. Nothing is taken unless a running command needs it.
    i_layer, i_start, i_append, o_busy, o_done
        Commands; see :class:`latte_hw.system.control.LayerControl`.
    i_table
        Writes an entry of the idle bank; always taken. None may come while `o_checking` is high.
    o_checking, o_swapped
        See :class:`latte_hw.system.control.LayerControl`.
    i_soft_reset
        Everything returns to the state after reset: what is in flight does not come out, an offered output beat is
        withdrawn, the table must be written again. Senders must begin with a new packet, too; the rest of an old one
        would be taken for it.
    o_errors
        High for one cycle each.
    o_counters
        Totals since reset.
    """

    def __init__(self, config: TopConfig) -> None:
        self.config = config
        self.params = HeadParams(config.head_config)
        payloads = LayerPayloads(config)
        super().__init__(
            {
                "s_axis_q": In(AxiStream(config.stream_bits)),
                "s_axis_k": In(AxiStream(config.stream_bits)),
                "s_axis_v": In(AxiStream(config.stream_bits)),
                "m_axis_o": Out(AxiStream(config.stream_bits)),
                "i_layer": In(LAYER),
                "i_start": In(1),
                "i_append": In(1),
                "i_table": In(Valid(payloads.table_write)),
                "i_soft_reset": In(1),
                "o_busy": Out(1),
                "o_done": Out(1),
                "o_checking": Out(1),
                "o_swapped": Out(1),
                "o_errors": Out(ERRORS),
                "o_counters": Out(payloads.counters),
            }
        )

    def elaborate(self, platform: Any) -> Any:
        m = Module()
        m.submodules.control = control = LayerControl(self.config)
        m.d.comb += [
            control.i_layer.eq(self.i_layer),
            control.i_start.eq(self.i_start),
            control.i_append.eq(self.i_append),
            control.i_table_written.eq(self.i_table.valid),
            self.o_busy.eq(control.o_busy),
            self.o_done.eq(control.o_done),
            self.o_checking.eq(control.o_checking),
            self.o_swapped.eq(control.o_swapped),
            *(self.o_errors[name].eq(control.o_errors[name]) for name in COMMAND_ERRORS),
        ]
        plan = control.o_plan
        heads, schedules, queries, rows = zip(*(self._core(m, control, core) for core in self._cores), strict=True)

        turns = [
            self._inward(m, control, "q", plan.heads, plan.group, plan.n_queries, [queue.i for queue in queries]),
            self._inward(m, control, "k", plan.kv_heads, 1, plan.n_keys, [head.i_k for head in heads]),
            self._inward(m, control, "v", plan.kv_heads, 1, plan.n_keys, [head.i_v for head in heads]),
        ]
        output, packer = self._outward(m, control, [queue.o for queue in rows])
        active = Cat(turn.o_active for turn in (*turns, output)).any()
        m.d.comb += control.i_finished.eq(~active & packer.o_empty)
        self._count(m, heads, schedules)
        return ResetInserter(self.i_soft_reset)(m)

    @property
    def _range_check(self) -> Callable[[Value], Value] | None:
        """Whether an element of q or k is out of range, where any int8 can be."""
        widths = self.params.widths
        return partial(exceeds_split, widths) if widths.quant_max < widths.value_max else None

    @property
    def _cores(self) -> range:
        return range(self.config.cores)

    def _core(self, m: Module, control: LayerControl, core: int) -> tuple[LatteHead, CoreSchedule, Fifo, Fifo]:
        """A head core with its schedule and its queues."""
        payloads = Payloads(self.params)

        def own(name: str) -> str:
            return numbered(name, self.config.cores)[core]

        depth = LayerTiming(self.config).queue_depth
        m.submodules[own("head")] = head = LatteHead(self.config.head_config, managed=True)
        m.submodules[own("schedule")] = schedule = CoreSchedule(self.config, core)
        m.submodules[own("queries")] = queries = Fifo(payloads.element_row, depth)
        m.submodules[own("rows")] = rows = Fifo(payloads.out_row, depth)
        wiring.connect(m, schedule.o_load, head.i_load)
        wiring.connect(m, schedule.o_job, head.i_job)
        wiring.connect(m, queries.o, head.i_q)
        wiring.connect(m, head.o_out, rows.i)
        entry = self.i_table.payload
        m.d.comb += [
            schedule.i_begin.eq(control.o_begin),
            schedule.i_plan.eq(control.o_plan),
            schedule.i_loading.eq(head.o_loading),
            head.i_table.valid.eq(self.i_table.valid),
            head.i_table.payload.head.eq(Cat(entry.head, control.o_table_bank)),
            head.i_table.payload.threshold.eq(entry.threshold),
            head.i_table.payload.mantissa.eq(entry.mantissa),
            head.i_table.payload.shift.eq(entry.shift),
        ]
        return head, schedule, queries, rows

    def _turns(self, m: Module, control: LayerControl, name: str, packets: Any, repeat: Any) -> PacketTurns:
        m.submodules[f"{name}_turns"] = turns = PacketTurns(self.config)
        m.d.comb += [turns.i_begin.eq(control.o_begin), turns.i_packets.eq(packets), turns.i_repeat.eq(repeat)]
        return turns

    def _inward(
        self, m: Module, control: LayerControl, name: str, packets: Any, repeat: Any, n_rows: Any, sinks: list[Any]
    ) -> PacketTurns:
        """Rows of a stream to the cores, in turns. A stream's work ends with the end of its last packet."""
        turns = self._turns(m, control, name, packets, repeat)
        row, bits = Payloads(self.params).element_row, self.config.stream_bits
        most_rows = self.config.packet_heads * self.config.max_keys
        check = self._range_check if f"{name}_range" in RANGE_ERRORS else None
        m.submodules[f"{name}_unpacker"] = unpacker = RowUnpacker(row, bits, most_rows, check)
        wiring.connect(m, wiring.flipped(getattr(self, f"s_axis_{name}")), unpacker.i)
        packet_rows, packet_ends = n_rows, unpacker.i_packet.valid & unpacker.i_packet.ready
        head_ends = packet_ends
        if self.config.packets is Packets.LAYER:
            packet_rows = control.o_plan.q_rows if name == "q" else control.o_plan.kv_rows
            head_ends = Mux(turns.o_last, packet_ends, self._last_row(m, control, name, n_rows, unpacker.o))
        m.d.comb += [
            unpacker.i_packet.valid.eq(turns.o_active),
            unpacker.i_packet.payload.eq(packet_rows),
            turns.i_next.eq(head_ends),
            *(self.o_errors[f"{name}_{kind}"].eq(getattr(unpacker, f"o_{kind}")) for kind in PACKET_KINDS),
        ]
        if check:
            m.d.comb += self.o_errors[f"{name}_range"].eq(unpacker.o_range)
        for core, sink in enumerate(sinks):
            chosen = turns.o_core[core]
            m.d.comb += [sink.valid.eq(unpacker.o.valid & chosen), sink.payload.eq(unpacker.o.payload)]
            with m.If(chosen):
                m.d.comb += unpacker.o.ready.eq(sink.ready)
        return turns

    def _last_row(self, m: Module, control: LayerControl, name: str, n_rows: Any, rows: Any) -> Any:
        """High when the last row of a head passes, each having `n_rows`."""
        left, passes = Signal.like(n_rows, name=f"{name}_rows_left"), rows.valid & rows.ready
        last = left == 1
        with m.If(control.o_begin | (passes & last)):
            m.d.sync += left.eq(n_rows)
        with m.Elif(passes):
            m.d.sync += left.eq(left - 1)
        return passes & last

    def _outward(self, m: Module, control: LayerControl, sources: list[Any]) -> tuple[PacketTurns, RowPacker]:
        """Rows of the cores to the output, in turns."""
        turns = self._turns(m, control, "o", control.o_plan.heads, control.o_plan.group)
        element = signed(8 * self.params.widths.out_bytes)
        row = data.ArrayLayout(element, self.config.head_dim)
        m.submodules.o_packer = packer = RowPacker(row, self.config.stream_bits)
        wiring.connect(m, packer.o, wiring.flipped(self.m_axis_o))
        last = Signal(name="o_head_ends")
        packet_ends = last & turns.o_last if self.config.packets is Packets.LAYER else last
        m.d.comb += packer.i.payload.last.eq(packet_ends)
        for core, source in enumerate(sources):
            with m.If(turns.o_active & turns.o_core[core]):
                m.d.comb += [
                    packer.i.valid.eq(source.valid),
                    source.ready.eq(packer.i.ready),
                    last.eq(source.payload.last),
                    *(packer.i.payload.row[d].eq(source.payload.row[d]) for d in range(self.config.head_dim)),
                ]
        m.d.comb += turns.i_next.eq(packer.i.valid & packer.i.ready & last)
        return turns, packer

    def _count(self, m: Module, heads: Any, schedules: Any) -> None:
        m.submodules.counters = counters = LayerCounters(self.config)
        for core, head in enumerate(heads):
            m.d.comb += counters.i_cores[core].eq(head.o_counters)
        fed, working = Cat(head.o_fed for head in heads), Cat(schedule.o_working for schedule in schedules)
        m.d.comb += [
            counters.i_cycles_busy.eq(self.o_busy),
            counters.i_stalled_input.eq(working.any() & ~fed.any()),
            counters.i_stalled_output.eq(self.m_axis_o.tvalid & ~self.m_axis_o.tready),
            self.o_counters.eq(counters.o_counters),
        ]
