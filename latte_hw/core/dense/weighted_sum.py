"""Weighted sums of a block of queries: one value per cycle, read once for all of them."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.core.accumulator import Accumulator, take_weights
from latte_hw.core.dense.payloads import DensePayloads
from latte_hw.core.divider import Divider
from latte_hw.core.kv_rams import ReadPort, beside_read
from latte_hw.lib.streams import Fifo, StreamRegister, delayed, delayed_data
from latte_hw.params.dense import DenseParams

TAG = data.StructLayout({"absent": 1, "last": 1})
"""Of a row: the block has no such query; last of its job."""


class DenseWeightedSum(wiring.Component):
    """The outputs of :class:`latte_hw.core.weighted_sum.WeightedSum` for every query of a block, in their order.

    The B sums grow in parallel, and take turns in `params.dividers` dividers, query b in number b mod `dividers`:
    groups of a value are `rows_per_divider` cycles apart, one for each query of a divider.

    Members
    -------
    i_row
        What a block needs beside its weights, in the order of the blocks.
    i_weighted
        Weights, from the softmax: the n-th item of a block is for value n.
    value_port
        Reads V.
    o_out
        One row per query.
    o_free
        High for one cycle when the values of a released K/V buffer have been read.

    Throughput: a block takes max(keys, `division_cycles`) cycles.
    """

    def __init__(self, params: DenseParams) -> None:
        self.params = params
        payloads = DensePayloads(params)
        super().__init__(
            {
                "i_row": In(stream.Signature(payloads.row_block)),
                "i_weighted": In(stream.Signature(payloads.weighted_block)),
                "value_port": Out(ReadPort(params.widths.key_bits, payloads.element_row)),
                "o_out": Out(stream.Signature(payloads.out_row)),
                "o_free": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params = self.params
        queries = [range(number, params.block_rows, params.dividers) for number in range(params.dividers)]
        dividers = [Divider(params, TAG, rows=len(own)) for own in queries]
        for number, divider in enumerate(dividers):
            m.submodules[f"divider_{number}"] = divider
        block_left = self._collect(m, dividers)

        item, row = self.i_weighted.payload, self.i_row.payload
        credits_left = Signal(range(params.blocks_in_division + 1), init=params.blocks_in_division)
        key = Signal(params.widths.key_bits)
        taken, block_ends = take_weights(
            m, self.i_weighted, self.i_row, [self.value_port], self.o_free,
            distance=params.block_division_cycles, room=credits_left.any(), last_group=params.division.last_group,
            ahead=params.pipeline.row_end > 0,
        )  # fmt: skip
        request = self.value_port.request.payload
        m.d.comb += [request.buffer.eq(row.buffer), request.address.eq(key)]
        m.d.sync += credits_left.eq(credits_left - block_ends + block_left)
        with m.If(taken):
            m.d.sync += key.eq(Mux(item.last, 0, key + 1))

        read_item = beside_read(m, params, item, "item_read")
        read_row = beside_read(m, params, row, "row_read")
        for number, divider in enumerate(dividers):
            sums = [self._row_sums(m, query, read_item, read_row) for query in queries[number]]
            self._in_turns(m, number, sums, divider)
        return m

    def _row_sums(self, m: Module, query: int, item: Any, row: Any) -> Accumulator:
        """The sums of one query of the block."""
        m.submodules[f"sums_{query}"] = sums = Accumulator(self.params, TAG)
        m.d.comb += [
            sums.i.valid.eq(self.value_port.response.valid),
            sums.i.payload.prob.eq(item.probs[query]),
            sums.i.payload.last.eq(item.last),
            sums.i.payload.tag.absent.eq(row.rows <= query),
            sums.i.payload.tag.last.eq(row.last & (row.rows == query + 1)),
            sums.value.eq(self.value_port.response.payload),
        ]
        return sums

    def _in_turns(self, m: Module, number: int, sums: list[Accumulator], divider: Divider) -> None:
        """Groups come every `value_stagger` cycles, in the same cycle for all queries: each waits for its turn.

        A register gathers them: the routes from the queries' sums are long.
        """
        valid, payload = Value.cast(0), Value.cast(0)
        for slot, one in enumerate(sums):
            own = delayed(m, one.o.valid, slot, f"slot_{number}_{slot}_valid")
            waited = delayed_data(m, one.o.payload, slot, f"slot_{number}_{slot}_payload")
            valid = valid | own
            payload = payload | Mux(own, Value.cast(waited), 0)
        m.d.sync += [divider.i.valid.eq(valid), Value.cast(divider.i.payload).eq(payload)]

    def _collect(self, m: Module, dividers: list[Divider]) -> Value:
        """Output rows in the order of the queries. Returns whether the last row of a block leaves its queue.

        A register slice lies before the port, to which the route may be long.
        """
        params, payloads = self.params, DensePayloads(self.params)
        m.submodules.leaving = leaving = StreamRegister(payloads.out_row)
        wiring.connect(m, leaving.o, wiring.flipped(self.o_out))
        turn = Signal(range(max(2, len(dividers))))  # the divider that divides the next row
        index = Signal(range(max(2, params.block_rows)))  # of the next row in its block
        for number, divider in enumerate(dividers):
            m.submodules[f"landing_{number}"] = landing = Fifo(payloads.out_row, params.out_queue_depth)
            row = divider.o.payload
            m.d.comb += [
                landing.i.valid.eq(divider.o.valid & ~row.tag.absent),
                landing.i.payload.row.eq(row.row),
                landing.i.payload.last.eq(row.tag.last),
            ]
            with m.If(turn == number if number else ~turn.any()):
                wiring.connect(m, landing.o, leaving.i)
        left = leaving.i.valid & leaving.i.ready
        block_left = left & (leaving.i.payload.last | (index == params.block_rows - 1))
        with m.If(block_left):
            m.d.sync += [turn.eq(0), index.eq(0)]
        with m.Elif(left):
            m.d.sync += [turn.eq(Mux(turn == len(dividers) - 1, 0, turn + 1)), index.eq(index + 1)]
        return block_left
