"""Estimates of all scores of a query, or of B side by side, from the high parts of q and k, P keys per cycle."""

from collections.abc import Mapping
from functools import reduce
from operator import and_, or_
from typing import Any

from amaranth.hdl import Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.arith import high_shape
from latte_hw.dot import StationaryDot, Term, stationary_dot
from latte_hw.kv_store import ReadPort
from latte_hw.names import numbered
from latte_hw.params import HeadParams
from latte_hw.payloads import Payloads
from latte_hw.streams import ReservedFifo, delayed, delayed_data


class MS4BEstimator(wiring.Component):
    """`estimate[j] = Σ_d q_high[d] · k_high[j][d]`, exact, for the keys 0 to `valid_keys` − 1 of a buffer.

    Reads one beat of P keys per cycle from the store and answers with one beat of estimates each. Lanes beyond
    `valid_keys` are masked. A query without a valid key yields one beat with an empty mask, so that every query ends
    with a beat that has `last`.

    With B = `queries_per_scan` above 1, up to B queries share one scan: `i_query_0` brings the first, whose
    `scan.others` says how many of `i_query_1` and on belong to it, and the estimates of each leave on `o_beat_0` and
    on. All queries of a scan get as many beats as the one that sees most keys, which is the last one.

    Latency: `params.estimator_latency` from a read to its estimates, then the output queue.
    Throughput: one beat per cycle, without a gap between queries that take `params.gapless_beats` beats each.
    """

    def __init__(self, params: HeadParams) -> None:
        self.params = params
        payloads = Payloads(params)
        super().__init__(
            {
                "beat_port": Out(ReadPort(params.beat_bits, payloads.high_beat)),
                **{name: In(stream.Signature(payloads.estimator_query)) for name in self._members("i_query")},
                **{name: Out(stream.Signature(payloads.estimate_beat)) for name in self._members("o_beat")},
            }
        )

    def _members(self, name: str) -> list[str]:
        return numbered(name, self.params.config.queries_per_scan)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params = self.params
        lanes = params.config.keys_per_cycle
        dots, landings = zip(*(self._place(m, place) for place in range(params.config.queries_per_scan)), strict=True)

        # Scan: one beat is sent on its way per cycle. `left` keys of each query are still to come, this beat included.
        beat, first_key = Signal(params.beat_bits), Signal(params.key_bits)
        starts = Signal(init=1)
        scans = [dot.o_prepared.payload for dot in dots]
        takes_part = [Value.cast(1)] + [scans[0].others >= place for place in range(1, len(dots))]
        ready = [dot.o_prepared.valid & landing.o_room for dot, landing in zip(dots, landings, strict=True)]
        left = [Signal(signed(params.count_bits + 1), name=name) for name in self._members("left")]
        goes_on = [part & (one > lanes) for part, one in zip(takes_part, left, strict=True)]
        sent, last = Signal(), Signal()
        m.d.comb += [
            sent.eq(reduce(and_, (~part | one for part, one in zip(takes_part, ready, strict=True)))),
            last.eq(~reduce(or_, goes_on)),
            self.beat_port.buffer.eq(scans[0].buffer),
            self.beat_port.address.eq(beat),
        ]
        with m.If(sent):
            m.d.sync += [
                starts.eq(last),
                beat.eq(Mux(last, 0, beat + 1)),
                first_key.eq(Mux(last, 0, first_key + lanes)),
            ]

        for place, (dot, landing) in enumerate(zip(dots, landings, strict=True)):
            rest = Signal.like(left[place], name=self._members("rest")[place])
            m.d.comb += left[place].eq(Mux(starts, scans[place].valid_keys, rest))
            with m.If(sent):
                m.d.sync += rest.eq(left[place] - lanes)
            mine = Signal(name=self._members("mine")[place])
            m.d.comb += [
                mine.eq(sent & takes_part[place]),
                landing.i_reserve.eq(mine),
                dot.o_prepared.ready.eq(mine & last),
            ]
            position = {"first_key": first_key, "last": last, "left": left[place]}
            self._follow(m, place, dot, landing, mine, position)
        return m

    def _follow(
        self,
        m: Module,
        place: int,
        dot: StationaryDot,
        landing: ReservedFifo,
        sent: Value,
        position: Mapping[str, Value],
    ) -> None:
        """The beat's keys arrive from the store, then their estimates; its position keeps pace."""

        def data_later(value: Value, cycles: int, name: str) -> Value:
            late: Value = delayed_data(m, value, cycles, self._members(name)[place])
            return late

        latency = self.params.store_latency
        read = delayed(m, sent, latency, self._members("sent_read")[place])
        at_read = {name: data_later(value, latency, f"{name}_read") for name, value in position.items()}
        m.d.comb += [
            dot.i_keys.valid.eq(read),
            dot.i_keys.payload.terms.estimate.eq(self.beat_port.data),
            dot.i_keys.payload.last.eq(at_read["last"]),
        ]
        landed = {name: data_later(value, dot.latency, f"{name}_landed") for name, value in at_read.items()}
        m.d.comb += [
            landing.i.valid.eq(dot.o.valid),
            landing.i.payload.estimates.eq(dot.o.payload.estimate),
            landing.i.payload.first_key.eq(landed["first_key"]),
            landing.i.payload.last.eq(landed["last"]),
        ]
        for lane in range(self.params.config.keys_per_cycle):
            m.d.comb += landing.i.payload.mask[lane].eq(landed["left"] > lane)

    def _place(self, m: Module, place: int) -> tuple[StationaryDot, ReservedFifo]:
        """Dot product and output queue of one of the queries that share a scan."""
        params, payloads = self.params, Payloads(self.params)
        high = Shape.cast(high_shape(params))
        dot = stationary_dot(
            params.config.dot,
            head_dim=params.config.head_dim,
            queries={"high": high},
            terms={"estimate": Term("high", high)},
            lanes=params.config.keys_per_cycle,
            tag_shape=payloads.scan,
        )
        landing = ReservedFifo(payloads.estimate_beat, params.estimator_landing_depth)
        m.submodules[self._members("dot")[place]] = dot
        m.submodules[self._members("landing")[place]] = landing
        wiring.connect(m, landing.o, wiring.flipped(getattr(self, self._members("o_beat")[place])))
        query = getattr(self, self._members("i_query")[place])
        m.d.comb += [
            dot.i_query.valid.eq(query.valid),
            dot.i_query.payload.parts.high.eq(query.payload.high),
            dot.i_query.payload.tag.eq(query.payload.scan),
            query.ready.eq(dot.i_query.ready),
        ]
        return dot, landing
