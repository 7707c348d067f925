"""Gathers queries into blocks that share one scan of K."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.core.dense.payloads import DensePayloads
from latte_hw.lib.streams import StreamRegister, delayed, delayed_data
from latte_hw.params.dense import DenseParams


class DenseBlocks(wiring.Component):
    """Blocks of B queries of one job, its last block with what is left.

    Members
    -------
    i_query, i_scale, i_row
        The shares of a query that the sequencer hands out, all in the same cycle; `i_row` alone for a job without
        queries.
    o_block
        The block, two cycles after its last query was taken.
    o_scale, o_row
        What softmax and weighted sum need of it, the cycle after its last query. To queues: whose `ready`, once high,
        stays so until something is sent.

    A query waits in a register first, from which it goes into another. Throughput: one query per cycle, from the cycle
    on after the block before was taken from `o_block`.
    """

    def __init__(self, params: DenseParams) -> None:
        self.params = params
        payloads = DensePayloads(params)
        super().__init__(
            {
                "i_query": In(stream.Signature(payloads.estimator_query)),
                "i_scale": In(stream.Signature(payloads.softmax_scale)),
                "i_row": In(stream.Signature(payloads.row_end)),
                "o_block": Out(stream.Signature(payloads.query_block)),
                "o_scale": Out(stream.Signature(payloads.softmax_scale)),
                "o_row": Out(stream.Signature(payloads.row_block)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        block_rows = self.params.block_rows
        shares = {"query": self.i_query, "scale": self.i_scale, "row": self.i_row}
        shape = data.StructLayout({name: share.payload.shape() for name, share in shares.items()})
        m.submodules.waiting = waiting = StreamRegister(shape)
        m.d.comb += waiting.i.valid.eq(self.i_row.valid)
        for name, share in shares.items():
            m.d.comb += [waiting.i.payload[name].eq(share.payload), share.ready.eq(waiting.i.ready)]
        query, row = waiting.o.payload.query, waiting.o.payload.row
        m.submodules.scale_leaving = scale = StreamRegister(self.o_scale.payload.shape())
        m.submodules.row_leaving = rows = StreamRegister(self.o_row.payload.shape())
        wiring.connect(m, scale.o, wiring.flipped(self.o_scale))
        wiring.connect(m, rows.o, wiring.flipped(self.o_row))
        block = self.o_block.payload
        index = Signal(range(max(2, block_rows)))  # of the next query
        space = Signal(init=1)
        open_ = Signal()
        added = Signal()
        closes = Signal()
        # What comes over a long route must not enable all of a block's registers: so nothing is taken in the cycle in
        # which a block is, and space is known a cycle late. Only this sends to the two queues, and through registers,
        # since their routes are long, too.
        m.d.sync += space.eq(scale.i.ready & rows.i.ready & ~rows.i.valid)
        m.d.comb += [
            open_.eq(~self.o_block.valid & space),
            waiting.o.ready.eq(open_),
            added.eq(waiting.o.valid & open_ & ~row.empty),
            closes.eq(added & (row.last | (index == block_rows - 1))),
            scale.i.valid.eq(closes),
            scale.i.payload.eq(waiting.o.payload.scale),
            rows.i.valid.eq(closes | (waiting.o.valid & open_ & row.empty)),
            rows.i.payload.rows.eq(index + 1),
        ]
        m.d.comb += [rows.i.payload[name].eq(row[name]) for name in ("buffer", "empty", "last", "release")]

        with m.If(added):
            m.d.sync += index.eq(index + 1)
            with m.If(closes):
                m.d.sync += index.eq(0)

        # A cycle later, since the registers of a block are many.
        loading = delayed_data(m, query, 1, "loading")
        with m.If(delayed(m, closes, 1, "closes")):
            m.d.sync += self.o_block.valid.eq(1)
        with m.Elif(self.o_block.ready):
            m.d.sync += self.o_block.valid.eq(0)
        with m.If(delayed(m, added, 1, "loads")):
            # A later query of a job never sees fewer keys, so the latest one sees most.
            m.d.sync += [block.scan.buffer.eq(loading.scan.buffer), block.scan.keys.eq(loading.scan.keys.count)]
        comes = [added & (index == number if number else ~index.any()) for number in range(block_rows)]
        loads = [delayed(m, one, 1, f"loads_{number}") for number, one in enumerate(comes)]
        for number, own in enumerate(loads):
            with m.If(own):
                m.d.sync += [
                    block.queries[number].eq(loading.high),
                    block.scan.valid_keys[number].eq(loading.scan.keys.count),
                ]
            with m.Elif(loads[0]):
                m.d.sync += block.scan.valid_keys[number].eq(0)
        return m
