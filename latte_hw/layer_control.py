"""Commands to a multi-head core: checks them, runs one at a time, keeps the banks of the table apart."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.layer_names import COMMAND_ERRORS
from latte_hw.layer_payloads import LAYER, LayerPayloads
from latte_hw.params import HeadParams
from latte_hw.top_config import TopConfig


class LayerControl(wiring.Component):
    """From `i_start` or `i_append`, each high for one cycle, to a plan that every part of the core works through.

    START runs the layer that `i_layer` describes then. APPEND runs one step of decoding with the K and V that a
    command with `keep` has left: every K/V head gets one row more of each, then one query per query head sees all rows
    so far; of `i_layer` it takes `keep` alone. START gives what was kept back.

    Refused, with a pulse in `o_errors`: any command while busy (`busy_write`); START with heads, group, n_queries or
    n_keys 0, APPEND with nothing kept (`length_zero`); START with more heads than a bank of the table has entries, a
    group that does not divide them, more queries or keys than `max_keys`, or `keep` with more K/V heads than cores,
    APPEND to `max_keys` rows (`length_too_large`). A refused START keeps what was kept.

    Table writes go to the idle bank. A START that is not refused swaps the banks if any entry has been written since
    they last were, so a layer that runs again needs no second writing; the new bank must have been written as far as
    the layer has heads.

    Members
    -------
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

    Latency: heads / group + 3 cycles from START to `o_begin` (it divides by counting), 1 from APPEND.
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
        max_keys = self.config.max_keys
        payloads, params = LayerPayloads(self.config), HeadParams(self.config.head_config)
        plan = Signal(payloads.plan)
        errors = self.o_errors
        layer = Signal(LAYER)
        heads_left = Signal.like(layer.heads)
        kv_heads = Signal.like(layer.heads)
        kept = Signal()
        rows = Signal(params.count_bits)
        bank = Signal()
        written = Signal()

        limit = (1 << (params.offset_bits - 1)) - 1
        offset = Signal.like(plan.causal_offset)
        m.d.comb += offset.eq(layer.causal_offset)
        with m.If(layer.causal_offset > limit):
            m.d.comb += offset.eq(limit)
        with m.If(layer.causal_offset < -limit):
            m.d.comb += offset.eq(-limit)

        lengths = (layer.heads, layer.group, layer.n_queries, layer.n_keys)
        zero = ~Cat(length.any() for length in lengths).all()
        too_large = (layer.heads > self.config.table_entries) | (layer.n_queries > max_keys) | (layer.n_keys > max_keys)
        with m.If(self.i_table_written):
            m.d.sync += written.eq(1)
        # At most one of these is high: the phase of a command.
        checking, dividing, beginning, running = (Signal(name=name) for name in ("check", "divide", "begin", "run"))
        m.d.comb += [
            self.o_checking.eq(checking | dividing),
            self.o_busy.eq(checking | dividing | beginning | running),
            errors.busy_write.eq(self.o_busy & (self.i_start | self.i_append)),
        ]
        m.d.sync += [checking.eq(0), beginning.eq(0)]
        with m.If(~self.o_busy & self.i_start):
            m.d.sync += [checking.eq(1), layer.eq(self.i_layer)]
        with m.Elif(~self.o_busy & self.i_append):
            fits = rows != max_keys
            m.d.comb += [errors.length_zero.eq(~kept), errors.length_too_large.eq(kept & ~fits)]
            with m.If(kept & fits):
                m.d.sync += [
                    beginning.eq(1),
                    rows.eq(rows + 1),
                    plan.append.eq(1),
                    plan.n_queries.eq(1),
                    plan.n_keys.eq(1),
                    plan.causal_offset.eq(max_keys),  # sees every row
                    plan.keep.eq(self.i_layer.keep),
                ]
        with m.If(checking):
            m.d.sync += [heads_left.eq(layer.heads), kv_heads.eq(0), dividing.eq(~zero & ~too_large)]
            m.d.comb += [errors.length_zero.eq(zero), errors.length_too_large.eq(~zero & too_large)]
        with m.If(dividing):
            m.d.sync += [heads_left.eq(heads_left - layer.group), kv_heads.eq(kv_heads + 1)]
            with m.If(heads_left < layer.group):
                refused = heads_left.any() | (layer.keep & (kv_heads > self.config.cores))
                m.d.comb += errors.length_too_large.eq(refused)
                m.d.sync += [dividing.eq(0), beginning.eq(~refused)]
                with m.If(~refused):
                    m.d.comb += self.o_swapped.eq(written)
                    m.d.sync += [
                        bank.eq(bank ^ written),
                        written.eq(0),
                        plan.bank.eq(bank ^ written),
                        rows.eq(layer.n_keys),
                        plan.heads.eq(layer.heads),
                        plan.group.eq(layer.group),
                        plan.kv_heads.eq(kv_heads),
                        plan.n_queries.eq(layer.n_queries),
                        plan.n_keys.eq(layer.n_keys),
                        plan.causal_offset.eq(offset),
                        plan.keep.eq(layer.keep),
                        plan.append.eq(0),
                    ]
        with m.If(beginning):
            m.d.comb += self.o_begin.eq(1)
            m.d.sync += running.eq(1)
        with m.If(running & self.i_finished):
            m.d.comb += self.o_done.eq(1)
            m.d.sync += [running.eq(0), kept.eq(plan.keep)]
        m.d.comb += [self.o_plan.eq(plan), self.o_table_bank.eq(~bank)]
        return m
