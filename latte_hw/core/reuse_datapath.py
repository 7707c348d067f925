"""Completes the score of a kept key by adding the missing partial products to its estimate."""

from typing import Any

from amaranth.hdl import Module, Shape, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.config import Reuse
from latte_hw.core.kv_rams import ReadPort, beside_read
from latte_hw.core.payloads import Payloads, slots
from latte_hw.lib.arith import high_shape, low_shape, register
from latte_hw.lib.dot.build import StationaryDot, Term, stationary_dot
from latte_hw.lib.names import numbered
from latte_hw.lib.streams import CreditFifo, StreamRegister, delayed, delayed_data, fork_ready
from latte_hw.params import HeadParams


class ReuseDatapath(wiring.Component):
    """`score = (estimate << 2L) + ((Σ q_high·k_low + Σ q_low·k_high) << L)`, and `+ Σ q_low·k_low` for `exact` reuse.

    The estimate travels along and is never computed again. With `msb_bits = 8` it already is the score.

    Members
    -------
    i_query
        The query of each row, in the order of the rows.
    i_kept
        Kept keys, from the filter; `last` ends a row.
    key_port
        Reads whole rows of K.
    o_scored
        The same keys with their scores.

    Latency: `params.latency.reuse` from a kept key to its score, then the output queue (none with `msb_bits = 8`).
    Throughput: one item of R = `kept_per_cycle` keys per cycle, each key read through a port of its own, `key_port_0`
    and `key_port_1`; without a gap between queries of `params.reuse_dot.refill_cycles` items each.
    """

    def __init__(self, params: HeadParams) -> None:
        self.params = params
        self.kept_per_cycle = params.config.kept_per_cycle
        payloads = Payloads(params)
        super().__init__(
            {
                "i_query": In(stream.Signature(payloads.reuse_query)),
                "i_kept": In(stream.Signature(payloads.kept_key)),
                **{name: Out(ReadPort(params.widths.key_bits, payloads.split_row)) for name in self.key_ports},
                "o_scored": Out(stream.Signature(payloads.scored_key)),
            }
        )

    @property
    def key_ports(self) -> list[str]:
        return numbered("key_port", self.kept_per_cycle)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        if self.params.widths.low_bits == 0:
            self._pass_through(m)
            return m
        params, payloads = self.params, Payloads(self.params)
        m.submodules.dot = dot = self._dot()
        m.submodules.landing = landing = CreditFifo(payloads.scored_key, params.depths.reuse_landing)
        wiring.connect(m, landing.o, wiring.flipped(self.o_scored))
        m.d.comb += [
            dot.i_query.valid.eq(self.i_query.valid),
            dot.i_query.payload.parts.high.eq(self.i_query.payload.row.high),
            dot.i_query.payload.parts.low.eq(self.i_query.payload.row.low),
            dot.i_query.payload.tag.eq(self.i_query.payload.buffer),
            self.i_query.ready.eq(dot.i_query.ready),
        ]

        item = self.i_kept.payload
        ports = [getattr(self, name) for name in self.key_ports]
        may_send = self.i_kept.valid & dot.o_prepared.valid & landing.o_credit
        sent = fork_ready(m, may_send, [port.request for port in ports])
        m.d.comb += [
            self.i_kept.ready.eq(sent),
            landing.i_take.eq(sent),
            dot.o_prepared.ready.eq(sent & item.last),
            dot.i_last.eq(sent & item.last),
        ]
        for port, key in zip(ports, slots(item.key, self.kept_per_cycle), strict=True):
            m.d.comb += [
                port.request.payload.buffer.eq(dot.o_prepared.payload),
                port.request.payload.address.eq(key),
            ]
        read_item = beside_read(m, params, item, "item_read")
        m.d.comb += dot.i_keys.valid.eq(ports[0].response.valid)
        for name in dot.keys:
            for slot, port in enumerate(ports):
                row = port.response.payload
                part = row.low if name.endswith("low") else row.high
                m.d.comb += dot.i_keys.payload[name][slot].eq(part)

        # the sums' sum, then the estimate and it
        result_item = delayed_data(m, read_item, dot.latency + 1, "item_result")
        scored = Signal(payloads.scored_key, reset_less=True)
        scored_valid = delayed(m, dot.o.valid, 2, "scored_valid")
        terms = dot.o.payload
        scores = []
        for slot, name in enumerate(numbered("correction", self.kept_per_cycle)):
            correction = (terms.high_low[slot] + terms.low_high[slot]) << params.widths.low_bits
            if "low_low" in dot.terms:
                correction = correction + terms.low_low[slot]
            estimate = slots(result_item.estimate, self.kept_per_cycle)[slot]
            scores.append((estimate << (2 * params.widths.low_bits)) + register(m, correction, name))
        m.d.sync += [
            scored.key.eq(result_item.key),
            scored.kept.eq(result_item.kept),
            scored.last.eq(result_item.last),
            *(field.eq(score) for field, score in zip(slots(scored.score, self.kept_per_cycle), scores, strict=True)),
        ]
        m.d.comb += [landing.i.valid.eq(scored_valid), landing.i.payload.eq(scored)]
        return m

    def _dot(self) -> StationaryDot:
        high, low = Shape.cast(high_shape(self.params)), Shape.cast(low_shape(self.params))
        keys = {"high_low": low, "low_high": high}  # by the term that they are for
        if self.params.config.reuse is Reuse.EXACT:
            keys["low_low"] = low
        return stationary_dot(
            self.params.reuse_dot,
            head_dim=self.params.config.head_dim,
            queries={"high": high, "low": low},
            keys=keys,
            terms={name: Term(name.split("_")[0], name) for name in keys},
            lanes=self.kept_per_cycle,
            tag_shape=1,
        )

    def _pass_through(self, m: Module) -> None:
        m.submodules.landing = landing = StreamRegister(Payloads(self.params).scored_key)
        wiring.connect(m, landing.o, wiring.flipped(self.o_scored))
        item = self.i_kept.payload
        moved = self.i_kept.valid & self.i_query.valid
        m.d.comb += [
            landing.i.valid.eq(moved),
            landing.i.payload.key.eq(item.key),
            landing.i.payload.kept.eq(item.kept),
            landing.i.payload.last.eq(item.last),
            *(
                score.eq(estimate)
                for score, estimate in zip(
                    slots(landing.i.payload.score, self.kept_per_cycle),
                    slots(item.estimate, self.kept_per_cycle),
                    strict=True,
                )
            ),
            self.i_kept.ready.eq(moved & landing.i.ready),
            self.i_query.ready.eq(moved & landing.i.ready & item.last),
        ]
