"""Base-2 softmax weights of a row's kept keys, relative to its best kept score, in fixed point."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed, unsigned
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
        m.submodules.exp_table = table = exponential_table(params)
        scale = delayed(m, self.i_scale.payload, 1, "scale")
        guarded = exponential(m, params, delta, scale, table)

        key_shape = data.StructLayout({name: payloads.weighted_key[name].shape for name in ("key", "kept", "last")})
        key = Signal(key_shape)
        m.d.comb += [key[name].eq(row.o.payload[name]) for name in ("key", "kept", "last")]
        arrived = delayed(m, sent, params.softmax_pipeline - 1, "sent")
        arrived_key = delayed(m, key, params.softmax_pipeline - 1, "key")
        weighted = Signal(payloads.weighted_key)
        round_weight(m, weighted.prob, guarded, arrived_key.kept, arrived, arrived_key.last)
        m.d.sync += [weighted[name].eq(arrived_key[name]) for name in ("key", "kept", "last")]
        m.d.comb += [landing.i.valid.eq(delayed(m, arrived, 1, "weighted")), landing.i.payload.eq(weighted)]
        return m


def exponential_table(params: HeadParams) -> memory.Memory:
    """Fractions of 2**-x; any number of exponents may read it, each through a port of its own."""
    shape = unsigned(params.config.prob_bits + EXP_GUARD_BITS)
    return memory.Memory(shape=shape, depth=2**params.exp_fraction_bits, init=params.exp_table)


def exponential(m: Module, params: HeadParams, delta: Any, scale: Any, table: Any, prefix: str = "") -> Signal:
    """`w` of a distance from the best score, `softmax_pipeline − 2` cycles later; `prefix` names its registers."""
    product = Signal(unsigned(params.delta_bits + len(scale.mantissa)), name=f"{prefix}product")
    m.d.sync += product.eq(delta * scale.mantissa)
    shift = delayed(m, scale.shift, 1, f"{prefix}shift")

    # 2^shift in two steps, to keep each register's logic shallow
    coarse, fine = Signal(product.shape()), Signal(product.shape())
    fine_shift = delayed(m, shift[:3], 1, f"{prefix}fine_shift")
    m.d.sync += [coarse.eq(product >> (shift[3:] << 3)), fine.eq(coarse >> fine_shift)]
    exponent = Signal(unsigned(params.exp_bits), name=f"{prefix}exponent")
    rounded = (fine + 1) >> 1
    greatest = 2**params.exp_bits - 1
    m.d.sync += exponent.eq(Mux(rounded > greatest, greatest, rounded))

    read_port = table.read_port()
    m.d.comb += read_port.addr.eq(exponent[: params.exp_fraction_bits])
    halvings = delayed(m, exponent[params.exp_fraction_bits :], 1, f"{prefix}halvings")
    shifted = Signal(read_port.data.shape(), name=f"{prefix}shifted")
    m.d.sync += shifted.eq(read_port.data >> halvings)
    return shifted


def round_weight(m: Module, prob: Value, guarded: Signal, kept: Any, arrived: Any, last: Any, prefix: str = "") -> None:
    """Into the register `prob`, a key's weight from its `w`; the remainder passes to the row's next kept key."""
    remainder = Signal(EXP_GUARD_BITS, init=2 ** (EXP_GUARD_BITS - 1), name=f"{prefix}remainder")
    # w has its greatest value with all guard bits zero, so adding a remainder never carries out of the weight.
    total = Signal(guarded.shape(), name=f"{prefix}total")
    m.d.comb += total.eq(guarded + remainder)
    m.d.sync += prob.eq(Mux(kept, total >> EXP_GUARD_BITS, 0))
    with m.If(arrived & kept):
        m.d.sync += remainder.eq(total)
    with m.If(arrived & last):
        m.d.sync += remainder.eq(remainder.init)
