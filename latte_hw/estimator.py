"""Estimates of all scores of a query from the high parts of q and k, P keys per cycle."""

from typing import Any

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.arith import high_shape
from latte_hw.dot import Term, stationary_dot
from latte_hw.kv_store import ReadPort
from latte_hw.params import HeadParams
from latte_hw.payloads import Payloads
from latte_hw.streams import ReservedFifo, delayed


class MS4BEstimator(wiring.Component):
    """`estimate[j] = Σ_d q_high[d] · k_high[j][d]`, exact, for the keys 0 to `valid_keys` − 1 of a buffer.

    Reads one beat of P keys per cycle from the store and answers with one beat of estimates each. Lanes beyond
    `valid_keys` are masked. A query without a valid key yields one beat with an empty mask, so that every query ends
    with a beat that has `last`.

    Latency: `params.estimator_latency` from a read to its estimates, then the output queue.
    Throughput: one beat per cycle, without a gap between queries that take `params.gapless_beats` beats each.
    """

    def __init__(self, params: HeadParams) -> None:
        self.params = params
        payloads = Payloads(params)
        super().__init__(
            {
                "i_query": In(stream.Signature(payloads.estimator_query)),
                "beat_port": Out(ReadPort(params.beat_bits, payloads.high_beat)),
                "o_beat": Out(stream.Signature(payloads.estimate_beat)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params, payloads = self.params, Payloads(self.params)
        lanes = params.config.keys_per_cycle
        high = Shape.cast(high_shape(params))

        # What a scan needs, so that neither its last beat nor the mask of that takes more than a comparison.
        scan_shape = data.StructLayout({"buffer": 1, "last_beat": params.beat_bits, "lanes": range(lanes + 1)})
        scan = Signal(scan_shape)
        last_key = Signal(params.count_bits)
        offered = self.i_query.payload.scan
        m.d.comb += [scan.buffer.eq(offered.buffer), last_key.eq(offered.valid_keys - 1)]
        with m.If(offered.valid_keys != 0):
            m.d.comb += [scan.last_beat.eq(last_key >> params.lane_bits), scan.lanes.eq((last_key & (lanes - 1)) + 1)]

        m.submodules.dot = dot = stationary_dot(
            params.config.dot,
            head_dim=params.config.head_dim,
            queries={"high": high},
            terms={"estimate": Term("high", high)},
            lanes=lanes,
            tag_shape=scan_shape,
        )
        m.submodules.landing = landing = ReservedFifo(payloads.estimate_beat, params.estimator_landing_depth)
        wiring.connect(m, landing.o, wiring.flipped(self.o_beat))
        m.d.comb += [
            dot.i_query.valid.eq(self.i_query.valid),
            dot.i_query.payload.parts.high.eq(self.i_query.payload.high),
            dot.i_query.payload.tag.eq(scan),
            self.i_query.ready.eq(dot.i_query.ready),
        ]

        # Scan: one beat is sent on its way per cycle; `beat` starts at 0 for each row.
        beat = Signal(params.beat_bits)
        sent = Signal()
        position = Signal(data.StructLayout({"beat": params.beat_bits, "last": 1, "lanes": range(lanes + 1)}))
        m.d.comb += [
            sent.eq(dot.o_prepared.valid & landing.o_room),
            landing.i_reserve.eq(sent),
            position.beat.eq(beat),
            position.last.eq(beat == dot.o_prepared.payload.last_beat),
            position.lanes.eq(dot.o_prepared.payload.lanes),
            dot.o_prepared.ready.eq(sent & position.last),
            self.beat_port.buffer.eq(dot.o_prepared.payload.buffer),
            self.beat_port.address.eq(beat),
        ]
        with m.If(sent):
            m.d.sync += beat.eq(Mux(position.last, 0, beat + 1))

        # The beat's keys arrive from the store, then its estimates from the dot product; its position keeps pace.
        read = delayed(m, sent, params.store_latency, "sent_read")
        read_position = delayed(m, position, params.store_latency, "position_read")
        m.d.comb += [
            dot.i_keys.valid.eq(read),
            dot.i_keys.payload.terms.estimate.eq(self.beat_port.data),
            dot.i_keys.payload.last.eq(read_position.last),
        ]
        landed_position = delayed(m, read_position, dot.latency, "position_landed")
        m.d.comb += [
            landing.i.valid.eq(dot.o.valid),
            landing.i.payload.estimates.eq(dot.o.payload.estimate),
            landing.i.payload.beat.eq(landed_position.beat),
            landing.i.payload.last.eq(landed_position.last),
        ]
        for lane in range(lanes):
            m.d.comb += landing.i.payload.mask[lane].eq(~landed_position.last | (lane < landed_position.lanes))
        return m
