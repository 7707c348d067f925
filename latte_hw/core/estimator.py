"""Estimates of all scores of a query, or of B side by side, from the high parts of q and k, P keys per cycle."""

from collections.abc import Sequence
from functools import reduce
from operator import and_, or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.core.kv_rams import ReadPort
from latte_hw.core.payloads import Payloads
from latte_hw.lib.arith import high_shape
from latte_hw.lib.dot.build import StationaryDot, Term, stationary_dot
from latte_hw.lib.names import numbered
from latte_hw.lib.streams import CreditFifo, delayed, delayed_data
from latte_hw.params import HeadParams


class MS4BEstimator(wiring.Component):
    """`estimate[j] = Σ_d q_high[d] · k_high[j][d]`, exact, for a range of the keys of a buffer.

    Reads one beat of P keys per cycle from the store and answers with one beat of estimates each. Lanes beyond
    `valid_keys` are masked. A query without a valid key yields one beat with an empty mask, so that every query ends
    with a beat that has `last`.

    With B = `queries_per_scan` above 1, up to B queries share one scan: `i_query_0` brings the first, whose
    `scan.others` says how many of `i_query_1` and on belong to it, and the estimates of each leave on `o_beat_0` and
    on. All queries of a scan get as many beats as the one that sees most keys, which is the last one.

    Members
    -------
    i_query
        Queries.
    beat_port
        Reads the high parts of K.
    o_beat
        Estimates of each query, beat by beat.

    Latency: `params.latency.estimator` from a read to its estimates, then the output queue.
    Throughput: one beat per cycle, without a gap between queries that take `params.scan_dot.gapless_beats` beats each.
    """

    def __init__(self, params: HeadParams) -> None:
        self.params = params
        payloads = Payloads(params)
        super().__init__(
            {
                "beat_port": Out(ReadPort(params.widths.beat_bits, payloads.high_beat)),
                **{name: In(stream.Signature(payloads.estimator_query)) for name in self._members("i_query")},
                **{name: Out(stream.Signature(payloads.estimate_beat)) for name in self._members("o_beat")},
            }
        )

    def _members(self, name: str) -> list[str]:
        return numbered(name, self.params.config.queries_per_scan)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params, lanes = self.params, self.params.config.keys_per_cycle
        m.submodules.dot = dot = self._dot()
        landings = [self._landing(m, index) for index in self._indices]
        self._take_queries(m, dot)

        # Scan: one beat is sent on its way per cycle. What the next beat will be is decided one cycle ahead; `left`
        # keys of each query are still to come, the present beat's too.
        offer = dot.o_prepared.payload
        offered_part = self._part_of(offer)
        scanning = Signal()
        last = Signal()
        started = Signal()
        may_send = Signal()
        sent = Signal()
        beat = Signal(params.widths.beat_bits)
        buffer = Signal(1)
        part = [Signal(name=name) for name in self._members("part")]
        # Where the address goes far, so does the reset that synthesis makes of "a scan begins". A value of its own
        # before the first scan keeps the sign of what is left out of that net.
        before = -(2**params.widths.count_bits) * min(1, params.pipeline.scan_start)
        left = [Signal(signed(params.widths.count_bits + 1), name=name, init=before) for name in self._members("left")]
        offered_left = [Cat(offer[name].count, Const(0, 1)) for name in self._ranges]
        prepared = [dot.o_prepared.valid for _ in landings]  # all at once
        m.d.comb += [
            may_send.eq(scanning & _all_of(part, [landing.o_credit for landing in landings])),
            self.beat_port.request.valid.eq(may_send & part[0]),  # the first query takes part in every scan
            sent.eq(may_send & self.beat_port.request.ready),
            started.eq((~scanning | (sent & last)) & _all_of(offered_part, prepared)),
            self.beat_port.request.payload.buffer.eq(buffer),
            self.beat_port.request.payload.address.eq(beat),
        ]
        with m.If(started):
            m.d.sync += [scanning.eq(1), beat.eq(0), last.eq(~_any_above(lanes, offered_part, offered_left))]
            m.d.sync += buffer.eq(offer.buffer)
        with m.Elif(sent):
            m.d.sync += [scanning.eq(~last), beat.eq(beat + 1), last.eq(~_any_above(2 * lanes, part, left))]

        for index, landing in enumerate(landings):
            with m.If(started):
                m.d.sync += [part[index].eq(offered_part[index]), left[index].eq(offered_left[index])]
            with m.Elif(sent):
                m.d.sync += left[index].eq(left[index] - lanes)
            mine = Signal(name=self._members("mine")[index])
            m.d.comb += [mine.eq(sent & part[index]), landing.i_take.eq(mine)]
            if index == 0:
                m.d.comb += [dot.o_prepared.ready.eq(started & offered_part[0]), dot.i_last.eq(mine & last)]
            # Enough of the count to tell how many lanes hold a key.
            low_bits = lanes.bit_length()
            brief = Cat(left[index][:low_bits], left[index][low_bits:-1].any(), left[index][-1])
            self._follow(m, index, dot, landing, mine, last, brief)
        return m

    def _follow(
        self,
        m: Module,
        index: int,
        dot: StationaryDot,
        landing: CreditFifo,
        sent: Value,
        last: Value,
        brief: Value,
    ) -> None:
        """The beat's keys arrive from the store, then the estimates of each query; its position keeps pace."""

        def own(name: str) -> str:
            return self._members(name)[index]

        latency = self.params.latency.store
        if index == 0:
            response = self.beat_port.response
            m.d.comb += [dot.i_keys.valid.eq(response.valid), dot.i_keys.payload.estimate.eq(response.payload)]
        landed = delayed(m, sent, latency + dot.latency, own("sent_landed")) if index else dot.o.valid
        lanes, latency = range(self.params.config.keys_per_cycle), latency + dot.latency
        landed_last = delayed_data(m, last, latency, own("last_landed"))
        counted = delayed_data(m, brief, 1, own("left"))
        mask = Cat(_above(counted, lane) for lane in lanes)
        first_key = Signal(self.params.widths.key_bits, name=own("first_key"))
        with m.If(landing.i.valid):
            m.d.sync += first_key.eq(Mux(landed_last, 0, first_key + len(lanes)))
        m.d.comb += [
            landing.i.valid.eq(landed),
            landing.i.payload.estimates.eq(dot.o.payload[own("estimate")]),
            landing.i.payload.first_key.eq(first_key),
            landing.i.payload.last.eq(landed_last),
            Value.cast(landing.i.payload.mask).eq(delayed_data(m, mask, latency - 1, own("mask_landed"))),
        ]

    def _dot(self) -> StationaryDot:
        """Dot products of all queries of a scan with the keys of a beat; those that a scan lacks mean nothing."""
        params, payloads = self.params, Payloads(self.params)
        high = Shape.cast(high_shape(params))
        queries = self._members("high")
        return stationary_dot(
            params.scan_dot,
            head_dim=params.config.head_dim,
            queries=dict.fromkeys(queries, high),
            keys={"estimate": high},
            terms={
                name: Term(query, "estimate") for name, query in zip(self._members("estimate"), queries, strict=True)
            },
            lanes=params.config.keys_per_cycle,
            tag_shape=data.StructLayout({**payloads.scan.members, **dict.fromkeys(self._ranges, payloads.key_range)}),
        )

    @property
    def _indices(self) -> range:
        return range(self.params.config.queries_per_scan)

    @property
    def _ranges(self) -> list[str]:
        """Names of each query's range of keys in the tag of a scan, which is that of its first query and the ranges
        of all."""
        return ["keys", *(f"keys_{index}" for index in self._indices[1:])]

    def _part_of(self, scan: Any) -> list[Value]:
        """Which of the places take part in a scan."""
        return [Value.cast(1), *(scan.others >= index for index in self._indices[1:])]

    def _take_queries(self, m: Module, dot: StationaryDot) -> None:
        """Those that share a scan are taken together."""
        queries = [getattr(self, name) for name in self._members("i_query")]
        first, part = queries[0], self._part_of(queries[0].payload.scan)
        m.d.comb += dot.i_query.valid.eq(
            reduce(and_, (~part[index] | queries[index].valid for index in self._indices[1:]), first.valid)
        )
        for name, query in zip(self._members("high"), queries, strict=True):
            m.d.comb += dot.i_query.payload.parts[name].eq(query.payload.high)
        tag = Cat(first.payload.scan, *(query.payload.scan.keys for query in queries[1:]))
        m.d.comb += Value.cast(dot.i_query.payload.tag).eq(tag)
        m.d.comb += first.ready.eq(dot.i_query.ready)
        for index in self._indices[1:]:
            m.d.comb += queries[index].ready.eq(dot.i_query.ready & part[index])

    def _landing(self, m: Module, index: int) -> CreditFifo:
        """Output queue of one of the queries that share a scan."""
        landing = CreditFifo(Payloads(self.params).estimate_beat, self.params.depths.estimator_landing)
        m.submodules[self._members("landing")[index]] = landing
        wiring.connect(m, landing.o, wiring.flipped(getattr(self, self._members("o_beat")[index])))
        return landing


def _all_of(part: Sequence[Value], conditions: Sequence[Value]) -> Value:
    """Whether the condition of everyone who takes part holds."""
    return reduce(and_, (~takes_part | one for takes_part, one in zip(part, conditions, strict=True)))


def _above(count: Value, limit: int) -> Value:
    """`count > limit` of a signed count, as logic of its bits: a comparison would take a carry chain."""
    low_bits = max(1, limit.bit_length())
    magnitude = count[:-1] if len(count) > low_bits else Cat(count[:-1], Const(0, low_bits + 1 - len(count)))
    few = [magnitude[:low_bits].matches(*range(limit + 1, 2**low_bits))] if limit + 1 < 2**low_bits else []
    return ~count[-1] & Cat(magnitude[low_bits:], *few).any()


def _any_above(limit: int, part: Sequence[Value], counts: Sequence[Value]) -> Value:
    """Whether the count of anyone who takes part is above the limit."""
    return reduce(or_, (takes_part & _above(count, limit) for takes_part, count in zip(part, counts, strict=True)))
