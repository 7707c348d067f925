"""Scores of all keys for a block of queries: one key per cycle, read once for all of them."""

from typing import Any

from amaranth.hdl import Module, Shape, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.config import TOTAL_BITS
from latte_hw.core.dense.payloads import DensePayloads
from latte_hw.core.kv_rams import ReadPort, beside_read
from latte_hw.lib.dot.build import Term, stationary_dot
from latte_hw.lib.streams import CreditFifo, delayed_data
from latte_hw.params.dense import DenseParams


class DenseScores(wiring.Component):
    """`scores[b] = Σ_d q_b[d] · k[d]`, exact, for the keys that the block's queries see, in their order.

    A block without any key yields one item in which nothing is kept.

    Members
    -------
    i_block
        Blocks of queries.
    key_port
        Reads K.
    o_scored
        One item per key.
    o_seen
        Valid query-key pairs whose keys are read in the present cycle.

    Latency: `params.score_latency` from a read to its scores, then the output queue.
    Throughput: one key per cycle, without a gap between blocks of `params.shortest_block` keys each.
    """

    def __init__(self, params: DenseParams) -> None:
        self.params = params
        payloads = DensePayloads(params)
        super().__init__(
            {
                "i_block": In(stream.Signature(payloads.query_block)),
                "key_port": Out(ReadPort(params.widths.key_bits, payloads.split_row)),
                "o_scored": Out(stream.Signature(payloads.scored_block)),
                "o_seen": Out(Shape.cast(range(params.block_rows + 1))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params, payloads = self.params, DensePayloads(self.params)
        element, rows = signed(TOTAL_BITS), range(params.block_rows)
        m.submodules.dot = dot = stationary_dot(
            params.scan_dot,
            head_dim=params.config.head_dim,
            queries={f"query_{row}": element for row in rows},
            keys={"key": element},
            terms={f"score_{row}": Term(f"query_{row}", "key") for row in rows},
            lanes=1,
            tag_shape=payloads.scan_block,
        )
        m.submodules.landing = landing = CreditFifo(payloads.scored_block, params.score_landing_depth)
        wiring.connect(m, landing.o, wiring.flipped(self.o_scored))
        m.d.comb += [
            dot.i_query.valid.eq(self.i_block.valid),
            dot.i_query.payload.tag.eq(self.i_block.payload.scan),
            self.i_block.ready.eq(dot.i_query.ready),
        ]
        for row in rows:
            m.d.comb += dot.i_query.payload.parts[f"query_{row}"].eq(self.i_block.payload.queries[row])

        # Scan: one key is sent for per cycle.
        scan = dot.o_prepared.payload
        key = Signal(params.widths.key_bits)
        sent = Signal()
        position = Signal(data.StructLayout({"kept": payloads.scored_block["kept"].shape, "last": 1}))
        m.d.comb += [
            self.key_port.request.valid.eq(dot.o_prepared.valid & landing.o_credit),
            sent.eq(self.key_port.request.valid & self.key_port.request.ready),
            landing.i_take.eq(sent),
            position.last.eq(key + 1 >= scan.keys),
            dot.o_prepared.ready.eq(sent & position.last),
            dot.i_last.eq(sent & position.last),
            self.key_port.request.payload.buffer.eq(scan.buffer),
            self.key_port.request.payload.address.eq(key),
        ]
        for row in rows:
            m.d.comb += position.kept[row].eq(key < scan.valid_keys[row])
        with m.If(sent):
            m.d.sync += key.eq(key + 1)
            with m.If(position.last):
                m.d.sync += key.eq(0)

        # The key arrives from the store, then its scores from the dot products; its position keeps pace.
        read = self.key_port.response.valid
        read_position = beside_read(m, params, position, "position_read")
        m.d.comb += dot.i_keys.valid.eq(read)
        landed_position = delayed_data(m, read_position, dot.latency, "position_landed")
        m.d.comb += [
            landing.i.valid.eq(dot.o.valid),
            landing.i.payload.kept.eq(landed_position.kept),
            landing.i.payload.last.eq(landed_position.last),
            self.o_seen.eq(sum((kept & read for kept in read_position.kept), start=0)),
        ]
        m.d.comb += dot.i_keys.payload.key[0].eq(self.key_port.response.payload.high)
        for row in rows:
            m.d.comb += landing.i.payload.scores[row].eq(dot.o.payload[f"score_{row}"][0])
        return m
