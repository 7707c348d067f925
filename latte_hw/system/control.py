"""Commands to a multi-head core: checks them, runs one at a time, keeps the banks of the table apart."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.config.top import Packets, TopConfig
from latte_hw.params import HeadParams
from latte_hw.system.events import COMMAND_ERRORS
from latte_hw.system.payloads import LAYER, LayerPayloads


class LayerControl(wiring.Component):
    """From `i_start` or `i_append`, each high for one cycle, to a plan that every part of the core works through.

    START runs the layer that `i_layer` describes then. APPEND runs one step of decoding with the K and V that a
    command with `keep` has left: every K/V head gets one row more of each, then one query per query head sees all rows
    so far; of `i_layer` it takes `keep` alone. START releases what was kept.

    Refused, with a pulse in `o_errors`: any command while busy (`busy_write`); START with heads, group, n_queries or
    n_keys 0, APPEND with nothing kept (`length_zero`); START with more heads than a bank of the table has entries, a
    group that does not divide them, more queries or keys than `max_keys`, or `keep` with more K/V heads than cores,
    APPEND to `max_keys` rows (`length_too_large`). A refused START keeps what was kept.

    Table writes go to the idle bank. A START that is not refused swaps the banks if any entry has been written since
    they last were, so a layer that runs again needs no second writing; the new bank must have been written as far as
    the layer has heads.

    Members
    -------
    i_layer
        The layer of the next START.
    i_start, i_append
        Commands, high for one cycle.
    i_table_written
        An entry of the idle bank is written in this cycle.
    o_busy
        From the cycle after the command until everything has left the core.
    o_done
        High for one cycle when a command has been carried out; not when it was refused.
    o_begin, o_plan
        The plan, which holds until the next `o_begin`, is new in the cycle with `o_begin`.
    i_finished
        Every part has worked through the plan; must be low from the cycle after `o_begin` until that is so.
    o_checking
        From the cycle after START until it is accepted or refused: no entry of the table may be written.
    o_swapped
        High in the last cycle of `o_checking` if the banks change places behind it.
    o_table_bank
        The idle bank.
    o_errors
        High for one cycle each: why a command was refused.

    Latency: heads / group + 3 cycles from START to `o_begin` (it divides by counting), 1 from APPEND. With packets of
    whole layers, whose rows it counts, a START takes a cycle more for each query head.
    """

    def __init__(self, config: TopConfig) -> None:
        self.config = config
        payloads = LayerPayloads(config)
        super().__init__(
            {
                "i_layer": In(LAYER),
                "i_start": In(1),
                "i_append": In(1),
                "i_table_written": In(1),
                "i_finished": In(1),
                "o_busy": Out(1),
                "o_done": Out(1),
                "o_begin": Out(1),
                "o_plan": Out(payloads.plan),
                "o_checking": Out(1),
                "o_swapped": Out(1),
                "o_table_bank": Out(1),
                "o_errors": Out(data.StructLayout(dict.fromkeys(COMMAND_ERRORS, 1))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        state = _State(self.config)
        plan, layer, errors = state.plan, state.layer, self.o_errors
        offset = state.limited_offset(m)
        # At most one of these is high: the phase of a command.
        checking, dividing, beginning, running = (Signal(name=name) for name in ("check", "divide", "begin", "run"))
        counting = Signal(name="count") if state.counts_rows else beginning  # follows the check
        m.d.comb += [
            self.o_checking.eq(checking | dividing),
            self.o_busy.eq(Cat(checking, dividing, counting, beginning, running).any()),
            errors.busy_write.eq(self.o_busy & (self.i_start | self.i_append)),
        ]
        with m.If(self.i_table_written):
            m.d.sync += state.written.eq(1)
        m.d.sync += [checking.eq(0), beginning.eq(0)]
        with m.If(~self.o_busy & self.i_start):
            m.d.sync += [checking.eq(1), layer.eq(self.i_layer)]
        with m.Elif(~self.o_busy & self.i_append):
            fits = state.rows != self.config.max_keys
            m.d.comb += [errors.length_zero.eq(~state.kept), errors.length_too_large.eq(state.kept & ~fits)]
            with m.If(state.kept & fits):
                m.d.sync += [beginning.eq(1), *state.plan_append(self.i_layer.keep)]
        with m.If(checking):
            zero, too_large = state.lengths_zero(), state.lengths_too_large()
            m.d.sync += [*state.divide_heads(), dividing.eq(~zero & ~too_large)]
            m.d.comb += [errors.length_zero.eq(zero), errors.length_too_large.eq(~zero & too_large)]
        with m.If(dividing):
            m.d.sync += state.subtract_group()
            with m.If(state.heads_left < layer.group):
                refused = state.group_refused()
                m.d.comb += errors.length_too_large.eq(refused)
                m.d.sync += [dividing.eq(0), counting.eq(~refused)]
                with m.If(~refused):
                    m.d.comb += self.o_swapped.eq(state.written)
                    m.d.sync += [*state.swap_banks(), *state.plan_layer(offset)]
        if state.counts_rows:
            with m.If(counting):
                last = state.heads_left == 1
                m.d.sync += [*state.add_queries(), counting.eq(~last), beginning.eq(last)]
        with m.If(beginning):
            m.d.comb += self.o_begin.eq(1)
            m.d.sync += running.eq(1)
        with m.If(running & self.i_finished):
            m.d.comb += self.o_done.eq(1)
            m.d.sync += [running.eq(0), state.kept.eq(plan.keep)]
        m.d.comb += [self.o_plan.eq(plan), self.o_table_bank.eq(~state.bank)]
        return m


class _State:
    """What a command is checked against and becomes: registers, conditions on them, and assignments to them."""

    def __init__(self, config: TopConfig) -> None:
        self.config = config
        params = HeadParams(config.head_config)
        self.plan = Signal(LayerPayloads(config).plan)
        self.layer = Signal(LAYER)
        self.heads_left = Signal.like(self.layer.heads)
        self.kv_heads = Signal.like(self.layer.heads)
        self.counts_rows = config.packets is Packets.LAYER
        self.kv_rows: Signal | None = None
        if self.counts_rows:
            self.kv_rows = Signal.like(self.plan.kv_rows)  # of `kv_heads`
        self.kept = Signal()  # K and V of the layer before are there
        self.rows = Signal(params.widths.count_bits)  # of them
        self.bank = Signal()
        self.written = Signal()  # entries of the idle bank, since the banks were swapped
        self.offset_limit = (1 << (params.widths.offset_bits - 1)) - 1

    def limited_offset(self, m: Module) -> Value:
        """The causal offset of the layer, limited to what a job can say: beyond, it is every key or none as well."""
        offset, described = Signal.like(self.plan.causal_offset, name="offset"), self.layer.causal_offset
        m.d.comb += offset.eq(described)
        with m.If(described > self.offset_limit):
            m.d.comb += offset.eq(self.offset_limit)
        with m.If(described < -self.offset_limit):
            m.d.comb += offset.eq(-self.offset_limit)
        return offset

    def lengths_zero(self) -> Value:
        lengths = (self.layer.heads, self.layer.group, self.layer.n_queries, self.layer.n_keys)
        return ~Cat(length.any() for length in lengths).all()

    def lengths_too_large(self) -> Value:
        max_keys = self.config.max_keys
        too_many_heads = self.layer.heads > self.config.table_entries
        return too_many_heads | (self.layer.n_queries > max_keys) | (self.layer.n_keys > max_keys)

    def divide_heads(self) -> list[Any]:
        """Begin to count how often the group goes into the heads."""
        begin = [self.heads_left.eq(self.layer.heads), self.kv_heads.eq(0)]
        return [*begin, self.kv_rows.eq(0)] if self.kv_rows is not None else begin

    def subtract_group(self) -> list[Any]:
        step = [self.heads_left.eq(self.heads_left - self.layer.group), self.kv_heads.eq(self.kv_heads + 1)]
        return [*step, self.kv_rows.eq(self.kv_rows + self.layer.n_keys)] if self.kv_rows is not None else step

    def add_queries(self) -> list[Any]:
        """Of one query head more, until `heads_left` is 1."""
        plan = self.plan
        return [plan.q_rows.eq(plan.q_rows + plan.n_queries), self.heads_left.eq(self.heads_left - 1)]

    def group_refused(self) -> Value:
        """In the end of the division: it leaves a remainder, or there is not a core for every K/V head to keep."""
        return self.heads_left.any() | (self.layer.keep & (self.kv_heads > self.config.cores))

    def swap_banks(self) -> list[Any]:
        bank = self.bank ^ self.written
        return [self.bank.eq(bank), self.written.eq(0), self.plan.bank.eq(bank)]

    def plan_append(self, keep: Value) -> list[Any]:
        """A step of decoding: a row more, and one query that sees every row."""
        plan = self.plan
        rows = [plan.q_rows.eq(plan.heads), plan.kv_rows.eq(plan.kv_heads)] if self.counts_rows else []
        return [
            *rows,
            self.rows.eq(self.rows + 1),
            plan.append.eq(1),
            plan.n_queries.eq(1),
            plan.n_keys.eq(1),
            plan.causal_offset.eq(self.config.max_keys),
            plan.keep.eq(keep),
        ]

    def plan_layer(self, offset: Value) -> list[Any]:
        """The layer as it was described, with a causal offset that a job can say."""
        layer, plan = self.layer, self.plan
        counts: list[Any] = []
        if self.kv_rows is not None:
            counts = [plan.kv_rows.eq(self.kv_rows), plan.q_rows.eq(0), self.heads_left.eq(layer.heads)]
        return [
            *counts,
            self.rows.eq(layer.n_keys),
            plan.heads.eq(layer.heads),
            plan.group.eq(layer.group),
            plan.kv_heads.eq(self.kv_heads),
            plan.n_queries.eq(layer.n_queries),
            plan.n_keys.eq(layer.n_keys),
            plan.causal_offset.eq(offset),
            plan.keep.eq(layer.keep),
            plan.append.eq(0),
        ]
