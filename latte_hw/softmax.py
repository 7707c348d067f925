"""Base-2 softmax weights of a row's kept keys, relative to its best kept score, in fixed point."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.params import EXP_GUARD_BITS, HeadParams
from latte_hw.payloads import Payloads
from latte_hw.streams import Fifo, ReservedFifo, delayed


class Softmax(wiring.Component):
    """`prob = round((2^prob_bits − 1) · 2^−x)`, `x = (best − score) · scale`, for every kept key of a row.

    In integers, with f = `exp_fraction_bits` and the row's scale (mantissa, shift)::

        t    = (((best − score) · mantissa >> shift) + 1) >> 1, saturated to `exp_bits`
        w    = exp_table[t mod 2^f] >> (t >> f)
        prob = (w + 2^(EXP_GUARD_BITS − 1)) >> EXP_GUARD_BITS

    The weights are unnormalised: the weighted sum divides by their total. The best kept key weighs 2^prob_bits − 1.

    A row waits in a queue until its best score is known; the queue holds more than one full row, so the next row
    comes in meanwhile.

    Latency: `params.softmax_latency` from the row's end to its first weight. Throughput: one key per cycle.
    """

    def __init__(self, params: HeadParams) -> None:
        self.params = params
        payloads = Payloads(params)
        super().__init__(
            {
                "i_scale": In(stream.Signature(payloads.softmax_scale)),
                "i_scored": In(stream.Signature(payloads.scored_key)),
                "o_weighted": Out(stream.Signature(payloads.weighted_key)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params, payloads = self.params, Payloads(self.params)
        score_shape = signed(params.score_bits)
        m.submodules.row = row = Fifo(payloads.scored_key, params.row_queue_depth)
        m.submodules.best = best_queue = Fifo(score_shape, params.rows_in_flight)
        m.submodules.landing = landing = ReservedFifo(payloads.weighted_key, params.softmax_landing_depth)
        wiring.connect(m, landing.o, wiring.flipped(self.o_weighted))

        # In: queue the row, follow its best score.
        item = self.i_scored.payload
        running, best = Signal(score_shape), Signal(score_shape)
        row_starts = Signal(init=1)
        accepted = Signal()
        m.d.comb += [
            accepted.eq(self.i_scored.valid & row.i.ready & best_queue.i.ready),
            self.i_scored.ready.eq(accepted),
            row.i.valid.eq(accepted),
            row.i.payload.eq(item),
            best.eq(Mux(item.kept & (row_starts | (item.score > running)), item.score, running)),
            best_queue.i.valid.eq(accepted & item.last),
            best_queue.i.payload.eq(best),
        ]
        with m.If(accepted):
            m.d.sync += [running.eq(best), row_starts.eq(item.last)]

        # Out: once the best is known, one key per cycle through exponent and table.
        sent = Signal()
        m.d.comb += [
            sent.eq(row.o.valid & best_queue.o.valid & self.i_scale.valid & landing.o_room),
            row.o.ready.eq(sent),
            best_queue.o.ready.eq(sent & row.o.payload.last),
            self.i_scale.ready.eq(sent & row.o.payload.last),
            landing.i_reserve.eq(sent),
        ]
        delta = Signal(unsigned(params.delta_bits))
        m.d.sync += delta.eq(best_queue.o.payload - row.o.payload.score)
        scale = delayed(m, self.i_scale.payload, 1, "scale")
        prob = self._weight(m, delta, scale)

        key_shape = data.StructLayout({name: payloads.weighted_key[name].shape for name in ("key", "kept", "last")})
        key = Signal(key_shape)
        m.d.comb += [key[name].eq(row.o.payload[name]) for name in ("key", "kept", "last")]
        landed_key = delayed(m, key, params.softmax_pipeline, "key")
        m.d.comb += [
            landing.i.valid.eq(delayed(m, sent, params.softmax_pipeline, "sent")),
            landing.i.payload.prob.eq(Mux(landed_key.kept, prob, 0)),
        ]
        m.d.comb += [landing.i.payload[name].eq(landed_key[name]) for name in ("key", "kept", "last")]
        return m

    def _weight(self, m: Module, delta: Any, scale: Any) -> Any:
        """The weight of a distance from the best score, `softmax_pipeline − 1` cycles later."""
        params = self.params
        product = Signal(unsigned(params.delta_bits + len(scale.mantissa)))
        m.d.sync += product.eq(delta * scale.mantissa)
        shift = delayed(m, scale.shift, 1, "shift")

        # 2^shift in two steps, to keep each register's logic shallow
        coarse, fine = Signal(product.shape()), Signal(product.shape())
        m.d.sync += [coarse.eq(product >> (shift[3:] << 3)), fine.eq(coarse >> delayed(m, shift[:3], 1, "fine_shift"))]
        exponent = Signal(unsigned(params.exp_bits))
        rounded = (fine + 1) >> 1
        greatest = 2**params.exp_bits - 1
        m.d.sync += exponent.eq(Mux(rounded > greatest, greatest, rounded))

        fraction_bits = params.exp_fraction_bits
        table_width = params.config.prob_bits + EXP_GUARD_BITS
        m.submodules.exp_table = table = memory.Memory(
            shape=unsigned(table_width), depth=2**fraction_bits, init=params.exp_table
        )
        read_port = table.read_port()
        m.d.comb += read_port.addr.eq(exponent[:fraction_bits])
        halvings = delayed(m, exponent[fraction_bits:], 1, "halvings")
        shifted = Signal(unsigned(table_width))
        prob = Signal(unsigned(params.config.prob_bits))
        m.d.sync += shifted.eq(read_port.data >> halvings)
        # The greatest table entry rounds to 2^prob_bits − 1 exactly, so the sum below never carries out.
        m.d.sync += prob.eq((shifted + 2 ** (EXP_GUARD_BITS - 1)) >> EXP_GUARD_BITS)
        return prob
