"""Base-2 softmax weights of a row's kept keys, relative to its best kept score, in fixed point."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.params import EXP_GUARD_BITS, HeadParams
from latte_hw.payloads import Payloads
from latte_hw.streams import Fifo, ReservedFifo, delayed


class Softmax(wiring.Component):
    """`prob ≈ (2^prob_bits − 1) · 2^−x`, `x = (best − score) · scale`, for every kept key of a row.

    In integers, with f = `exp_fraction_bits`, G = `EXP_GUARD_BITS` and the row's scale (mantissa, shift)::

        t    = (((best − score) · mantissa >> shift) + 1) >> 1, saturated to `exp_bits`
        w    = exp_table[t mod 2^f] >> (t >> f)
        prob = (r + w) >> G
        r    = (r + w) mod 2^G, for the row's next kept key; 2^(G − 1) for its first

    The remainder r makes the weights of a row add up to the rounded sum of its w. They are unnormalised: the weighted
    sum divides by their total. The best kept key weighs 2^prob_bits − 1.

    A row waits in a queue until its best score is known; the queue holds more than one full row, so the next row
    comes in meanwhile.

    Latency: `params.softmax_latency` from a row's end to its first weight, then the output queue.
    Throughput: one key per cycle.
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
        guarded = self._exponential(m, delta, delayed(m, self.i_scale.payload, 1, "scale"))

        key_shape = data.StructLayout({name: payloads.weighted_key[name].shape for name in ("key", "kept", "last")})
        key = Signal(key_shape)
        m.d.comb += [key[name].eq(row.o.payload[name]) for name in ("key", "kept", "last")]
        arrived = delayed(m, sent, params.softmax_pipeline - 1, "sent")
        arrived_key = delayed(m, key, params.softmax_pipeline - 1, "key")
        weighted = Signal(payloads.weighted_key)
        remainder = Signal(EXP_GUARD_BITS, init=2 ** (EXP_GUARD_BITS - 1))
        # w has its greatest value with all guard bits zero, so adding a remainder never carries out of the weight.
        total = Signal(guarded.shape())
        m.d.comb += total.eq(guarded + remainder)
        m.d.sync += weighted.prob.eq(Mux(arrived_key.kept, total >> EXP_GUARD_BITS, 0))
        m.d.sync += [weighted[name].eq(arrived_key[name]) for name in ("key", "kept", "last")]
        with m.If(arrived & arrived_key.kept):
            m.d.sync += remainder.eq(total)
        with m.If(arrived & arrived_key.last):
            m.d.sync += remainder.eq(remainder.init)
        m.d.comb += [landing.i.valid.eq(delayed(m, arrived, 1, "weighted")), landing.i.payload.eq(weighted)]
        return m

    def _exponential(self, m: Module, delta: Any, scale: Any) -> Any:
        """`w` of a distance from the best score, `softmax_pipeline − 2` cycles later."""
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
        m.d.sync += shifted.eq(read_port.data >> halvings)
        return shifted
