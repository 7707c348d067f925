"""Softmax weights of a block of queries, one key per cycle for all of them, in step."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.core.dense.payloads import DensePayloads
from latte_hw.core.softmax import exponential, exponential_table, round_weight
from latte_hw.lib.streams import CreditFifo, Fifo, delayed, delayed_data
from latte_hw.params.dense import DenseParams


class DenseSoftmax(wiring.Component):
    """The weights of :class:`latte_hw.core.softmax.Softmax` for every query of a block.

    The queries of a block share one queue, one softmax scale and one control; each has an exponent of its own. A block
    waits in the queue until its best scores are known, while the next one comes in.

    Members
    -------
    i_scale
        The softmax scale of each block, taken with its last item.
    i_scored
        Scores of one key for the queries of a block; `last` ends a block.
    o_weighted
        Weights of the same.

    Latency: `params.best_latency` from a block's last scores to its first item in the pipeline (the block's queue has
    its own), `params.latency.softmax_pipeline`, then the output queue.
    Throughput: one key of each query per cycle, without a gap.
    """

    def __init__(self, params: DenseParams) -> None:
        self.params = params
        payloads = DensePayloads(params)
        super().__init__(
            {
                "i_scale": In(stream.Signature(payloads.softmax_scale)),
                "i_scored": In(stream.Signature(payloads.scored_block)),
                "o_weighted": Out(stream.Signature(payloads.weighted_block)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params, payloads = self.params, DensePayloads(self.params)
        m.submodules.row = row = Fifo(payloads.scored_block, params.row_queue_depth)
        m.submodules.best = best_queue = Fifo(payloads.best_scores, params.rows_in_flight)
        m.submodules.landing = landing = CreditFifo(payloads.weighted_block, params.softmax_landing_depth)
        wiring.connect(m, landing.o, wiring.flipped(self.o_weighted))

        # In: queue the block, follow the best score of each query.
        item = self.i_scored.payload
        row_starts = Signal(init=1)
        accepted = Signal()
        m.d.comb += [
            accepted.eq(self.i_scored.valid & row.i.ready & best_queue.i.ready),
            self.i_scored.ready.eq(accepted),
            row.i.valid.eq(accepted),
            row.i.payload.eq(item),
            best_queue.i.valid.eq(accepted & item.last),
        ]
        with m.If(accepted):
            m.d.sync += row_starts.eq(item.last)
        for number in range(params.block_rows):
            running = Signal(signed(params.widths.score_bits), name=f"row_{number}_running")
            best = Signal(signed(params.widths.score_bits), name=f"row_{number}_best")
            better = item.kept[number] & (row_starts | (item.scores[number] > running))
            m.d.comb += [best.eq(Mux(better, item.scores[number], running)), best_queue.i.payload[number].eq(best)]
            with m.If(accepted):
                m.d.sync += running.eq(best)

        # Out: once the best scores are known, one key per cycle through exponents and table.
        sent = Signal()
        leaving = row.o.payload
        m.d.comb += [
            sent.eq(row.o.valid & best_queue.o.valid & self.i_scale.valid & landing.o_credit),
            row.o.ready.eq(sent),
            best_queue.o.ready.eq(sent & leaving.last),
            self.i_scale.ready.eq(sent & leaving.last),
            landing.i_take.eq(sent),
        ]
        key = Signal(data.StructLayout({name: payloads.scored_block[name].shape for name in ("kept", "last")}))
        m.d.comb += [key[name].eq(leaving[name]) for name in ("kept", "last")]
        arrived = delayed(m, sent, params.latency.softmax_pipeline - 1, "sent")
        arrived_key = delayed_data(m, key, params.latency.softmax_pipeline - 1, "key")

        m.submodules.exp_table = table = exponential_table(params)
        scale = delayed_data(m, self.i_scale.payload, 1, "scale")
        weighted = Signal(payloads.weighted_block, reset_less=True)
        for number in range(params.block_rows):
            prefix = f"row_{number}_"
            delta = Signal(unsigned(params.widths.delta_bits), name=f"{prefix}delta")
            m.d.sync += delta.eq(best_queue.o.payload[number] - leaving.scores[number])
            guarded = exponential(m, params, delta, scale, table, prefix)
            kept = arrived_key.kept[number]
            round_weight(m, weighted.probs[number], guarded, kept, arrived, arrived_key.last, prefix)
        m.d.sync += weighted.last.eq(arrived_key.last)
        m.d.comb += [landing.i.valid.eq(delayed(m, arrived, 1, "weighted")), landing.i.payload.eq(weighted)]
        return m
