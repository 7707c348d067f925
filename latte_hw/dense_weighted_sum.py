"""Weighted sums of a block of queries: one value per cycle, read once for all of them."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.dense_params import DenseParams
from latte_hw.dense_payloads import DensePayloads
from latte_hw.kv_store import ReadPort
from latte_hw.streams import SPREAD, Fifo, delayed, delayed_data
from latte_hw.weighted_sum import Normaliser, accumulate


class DenseWeightedSum(wiring.Component):
    """The outputs of :class:`latte_hw.weighted_sum.WeightedSum` for every query of a block, in their order.

    The B sums grow side by side. When they are complete they wait for their turn in `params.normalisers` normalisers,
    query b in number b mod `normalisers`, while the sums of the next block grow.

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
                "value_port": Out(ReadPort(params.key_bits, payloads.element_row)),
                "o_out": Out(stream.Signature(payloads.out_row)),
                "o_free": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params = self.params
        normalisers = [Normaliser(params) for _ in range(params.normalisers)]
        for number, normaliser in enumerate(normalisers):
            m.submodules[f"normaliser_{number}"] = normaliser
        block_left = self._collect(m, normalisers)

        # A block may end only if the normalisers will have taken the block before by the time its sums arrive. That
        # takes the same time for every block, so it is enough that their ends keep `division_cycles` apart.
        item, row = self.i_weighted.payload, self.i_row.payload
        cooldown = Signal(range(params.division_cycles + 1))
        room = Signal(range(params.blocks_in_division + 1), init=params.blocks_in_division)
        key = Signal(params.key_bits)
        taken, block_ends, released_empty = Signal(), Signal(), Signal()
        may_end = ~cooldown.any() & room.any()
        m.d.comb += [
            taken.eq(self.i_weighted.valid & self.i_row.valid & ~row.empty & (~item.last | may_end)),
            block_ends.eq(taken & item.last),
            released_empty.eq(self.i_row.valid & row.empty),
            self.i_weighted.ready.eq(taken),
            self.i_row.ready.eq(block_ends | released_empty),
            self.o_free.eq((block_ends | released_empty) & row.release),
            self.value_port.buffer.eq(row.buffer),
            self.value_port.address.eq(key),
        ]
        m.d.sync += room.eq(room - block_ends + block_left)
        with m.If(taken):
            m.d.sync += key.eq(Mux(item.last, 0, key + 1))
        with m.If(block_ends):
            m.d.sync += cooldown.eq(params.division_cycles - 1)
        with m.Elif(cooldown != 0):
            m.d.sync += cooldown.eq(cooldown - 1)

        self._accumulate(m, taken, ~key.any(), normalisers)
        return m

    def _accumulate(self, m: Module, taken: Value, first: Value, normalisers: list[Normaliser]) -> None:
        """Read, multiply, add up: one register each, as in a single weighted sum."""
        params = self.params
        item, row = self.i_weighted.payload, self.i_row.payload
        rows_shape = row.rows.shape()
        control = Signal(data.StructLayout({"valid": 1, "first": 1, "last": 1, "rows": rows_shape, "job_last": 1}))
        m.d.comb += [
            control.valid.eq(taken),
            control.first.eq(first),
            control.last.eq(item.last),
            control.rows.eq(row.rows),
            control.job_last.eq(row.last),
        ]
        reading_control = delayed(m, control, params.store_latency - 1, "control_reading")
        read_control = delayed(m, reading_control, 1, "control_read")
        product_control = delayed(m, read_control, 1, "control_product")
        sum_control = delayed(m, product_control, 1, "control_sum")
        sums = []
        for number in range(params.block_rows):
            # What is not taken weighs nothing, so the sums may go on adding it.
            prob = Mux(taken, item.probs[number], 0)
            prob = delayed_data(m, prob, params.store_latency - 2, f"prob_{number}_reading")
            total, row_sums = accumulate(m, params, prob, self.value_port.data, reading_control.first, f"row_{number}_")
            sums.append((row_sums, total))
        complete = sum_control.valid & sum_control.last
        self._divide(m, sums, complete, sum_control.rows, sum_control.job_last, normalisers)

    def _divide(
        self, m: Module, sums: list[Any], complete: Value, rows: Value, job_last: Value, normalisers: list[Normaliser]
    ) -> None:
        """Complete sums of the first queries go straight into the normalisers, the others wait for their turn."""
        params, count = self.params, len(normalisers)
        held = [
            (
                Signal(row_sums.shape(), name=f"row_{number}_held", reset_less=True),
                Signal.like(total, name=f"row_{number}_held_total"),
            )
            for number, (row_sums, total) in list(enumerate(sums))[count:]
        ]
        left = Signal(rows.shape())  # held rows that have not gone yet
        held_last = Signal()
        pause = Signal(range(params.normalise_cycles))
        next_turn = Signal()
        m.d.comb += next_turn.eq(left.any() & ~pause.any())
        with m.If(complete | next_turn):
            m.d.sync += pause.eq(params.normalise_cycles - 1)
        with m.Elif(pause.any()):
            m.d.sync += pause.eq(pause - 1)
        with m.If(complete):
            if held:
                m.d.sync += [left.eq(Mux(rows > count, rows - count, 0)), held_last.eq(job_last)]
            for (row_sums, total), source in zip(held, sums[count:], strict=True):
                m.d.sync += [row_sums.eq(source[0]), total.eq(source[1])]
        with m.Elif(next_turn):
            if held:
                m.d.sync += left.eq(Mux(left > count, left - count, 0))
            for (row_sums, total), source in zip(held, held[count:], strict=False):
                m.d.sync += [row_sums.eq(source[0]), total.eq(source[1])]

        for number, normaliser in enumerate(normalisers):
            row = normaliser.i
            m.d.comb += [
                normaliser.i_load.eq((complete & (rows > number)).replicate(SPREAD)),
                row.sums.eq(sums[number][0]),
                row.total.eq(sums[number][1]),
                row.last.eq(job_last & (rows == number + 1)),
            ]
            if number < len(held):
                with m.If(~complete):
                    m.d.comb += [
                        normaliser.i_load.eq((next_turn & (left > number)).replicate(SPREAD)),
                        row.sums.eq(held[number][0]),
                        row.total.eq(held[number][1]),
                        row.last.eq(held_last & (left == number + 1)),
                    ]

    def _collect(self, m: Module, normalisers: list[Normaliser]) -> Value:
        """Output rows in the order of the queries. Returns whether the last row of a block leaves."""
        params, payloads = self.params, DensePayloads(self.params)
        turn = Signal(range(max(2, len(normalisers))))  # the normaliser that divides the next row
        place = Signal(range(max(2, params.block_rows)))  # of the next row in its block
        for number, normaliser in enumerate(normalisers):
            m.submodules[f"landing_{number}"] = landing = Fifo(payloads.out_row, params.out_queue_depth)
            m.d.comb += [landing.i.valid.eq(normaliser.o.valid), landing.i.payload.eq(normaliser.o.payload)]
            with m.If(turn == number if number else ~turn.any()):
                wiring.connect(m, landing.o, wiring.flipped(self.o_out))
        left = self.o_out.valid & self.o_out.ready
        block_left = left & (self.o_out.payload.last | (place == params.block_rows - 1))
        with m.If(block_left):
            m.d.sync += [turn.eq(0), place.eq(0)]
        with m.Elif(left):
            m.d.sync += [turn.eq(Mux(turn == len(normalisers) - 1, 0, turn + 1)), place.eq(place + 1)]
        return block_left
