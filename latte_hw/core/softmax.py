"""Base-2 softmax weights of a row's kept keys, relative to its best kept score, in fixed point."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.core.payloads import Payloads, slots
from latte_hw.lib.arith import multiplied, register, running_best
from latte_hw.lib.names import numbered
from latte_hw.lib.register_slices import SkidBuffer, slices
from latte_hw.lib.streams import CreditFifo, Fifo, delayed, delayed_data
from latte_hw.params import EXP_GUARD_BITS, LOOK_AHEAD, MULTIPLIER_BITS, MULTIPLY, CoreParams, HeadParams


class Softmax(wiring.Component):
    """`prob ≈ (2^prob_bits − 1) · 2^−x`, `x = (best − score) · scale`, for every kept key of a row.

    In integers, with f = `exp_fraction_bits`, G = `EXP_GUARD_BITS` and the row's scale (mantissa, shift)::

        t    = (((best − score) · mantissa >> shift) + 1) >> 1, saturated to `exp_bits`
        w    = exp_table[t mod 2^f] >> (t >> f)
        prob = (r + w) >> G
        r    = (r + w) mod 2^G, for the row's next kept key; 2^(G − 1) for its first

    The remainder r makes the weights of a row add up to the rounded sum of its w. They are unnormalised: the weighted
    sum divides by their total. The best kept key weighs 2^prob_bits − 1.

    With R = `kept_per_cycle` = 2, the remainder passes from the first key of an item to the second at once.

    A row waits in a queue until its best score is known; the queue holds more than one full row, so the next row
    comes in meanwhile.

    Members
    -------
    i_scale
        The softmax scale of each row, taken with its last item.
    i_scored
        Kept keys with their scores; `last` ends a row.
    o_weighted
        The same keys with their weights.

    Latency: `params.latency.softmax` from a row's end to its first weight, then the output queue.
    Throughput: one item of R keys per cycle.
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
        score_shape = signed(params.widths.score_bits)
        m.submodules.row = row = Fifo(payloads.scored_key, params.depths.scored)
        m.submodules.best = best_queue = CreditFifo(score_shape, params.depths.rows)
        m.submodules.landing = landing = CreditFifo(payloads.weighted_key, params.depths.softmax_landing)
        wiring.connect(m, landing.o, wiring.flipped(self.o_weighted))

        # In: queue the row and follow its best score, one register after the other.
        item = self.i_scored.payload
        accepted = Signal()
        m.d.comb += [
            accepted.eq(self.i_scored.valid & row.i.ready & best_queue.o_credit),
            self.i_scored.ready.eq(accepted),
            row.i.valid.eq(accepted),
            row.i.payload.eq(item),
            best_queue.i_take.eq(accepted & item.last),
        ]
        kept_per_cycle = params.config.kept_per_cycle
        arrived, arrived_item = delayed(m, accepted, 1, "arrived"), delayed_data(m, item, 1, "arrived_item")
        kept, score, ends = arrived_item.kept, arrived_item.score, arrived_item.last
        if kept_per_cycle == 2:  # the second slot is kept only with the first
            better = Mux(kept[1] & (score[1] > score[0]), score[1], score[0])
            arrived, kept, ends = (delayed(m, value, 1, "compared") for value in (arrived, kept[0], ends))
            score = register(m, better, "better")
        ahead = params.pipeline.best_follow
        best = running_best(m, score, arrived, ends, "best_score", ahead=ahead, counts=kept)
        m.d.comb += [
            best_queue.i.valid.eq(delayed(m, arrived & ends, 1 + LOOK_AHEAD * ahead, "row_ends")),
            best_queue.i.payload.eq(best),
        ]

        # Out: once the best is known, one item per cycle through exponents and table.
        sent = Signal()
        row_best = slices(m, best_queue.o, params.pipeline.row_read, "best_read", SkidBuffer)
        m.d.comb += [
            sent.eq(row.o.valid & row_best.valid & self.i_scale.valid & landing.o_credit),
            row.o.ready.eq(sent),
            row_best.ready.eq(sent & row.o.payload.last),
            self.i_scale.ready.eq(sent & row.o.payload.last),
            landing.i_take.eq(sent),
        ]
        deltas = [Signal(unsigned(params.widths.delta_bits), name=name) for name in numbered("delta", kept_per_cycle)]
        for delta, score in zip(deltas, slots(row.o.payload.score, kept_per_cycle), strict=True):
            m.d.sync += delta.eq(row_best.payload - score)
        m.submodules.exp_table = table = exponential_table(params)
        scale = delayed_data(m, self.i_scale.payload, 1, "scale")
        prefixes = [""] if kept_per_cycle == 1 else ["first_", "second_"]
        guarded = [
            exponential(m, params, delta, scale, table, prefix) for delta, prefix in zip(deltas, prefixes, strict=True)
        ]

        key_shape = data.StructLayout({name: payloads.weighted_key[name].shape for name in ("key", "kept", "last")})
        key = Signal(key_shape)
        m.d.comb += [key[name].eq(row.o.payload[name]) for name in ("key", "kept", "last")]
        weighed = delayed(m, sent, params.latency.softmax_pipeline - 1, "sent")
        weighed_key = delayed_data(m, key, params.latency.softmax_pipeline - 1, "key")
        weighted = Signal(payloads.weighted_key, reset_less=True)
        probs, kepts = slots(weighted.prob, kept_per_cycle), slots(weighed_key.kept, kept_per_cycle)
        round_weights(m, list(zip(probs, guarded, kepts, strict=True)), weighed, weighed_key.last)
        m.d.sync += [weighted[name].eq(weighed_key[name]) for name in ("key", "kept", "last")]
        m.d.comb += [landing.i.valid.eq(delayed(m, weighed, 1, "weighted")), landing.i.payload.eq(weighted)]
        return m


def exponential_table(params: CoreParams) -> memory.Memory:
    """Fractions of 2**-x; any number of exponents may read it, each through a port of its own."""
    shape = unsigned(params.config.prob_bits + EXP_GUARD_BITS)
    return memory.Memory(shape=shape, depth=2**params.widths.exp_fraction_bits, init=params.widths.exp_table)


def exponential(m: Module, params: CoreParams, delta: Any, scale: Any, table: Any, prefix: str = "") -> Signal:
    """`w` of a distance from the best score, `softmax_pipeline − 2` cycles later; `prefix` names its registers."""
    delta = delayed_data(m, delta, 1, f"{prefix}delta_at_product")
    scale = delayed_data(m, scale, 1, f"{prefix}scale_at_product")

    def stage(width: int, name: str) -> Signal:
        return Signal(unsigned(width), name=f"{prefix}{name}", reset_less=True)

    # Wider than one multiplier of most FPGAs: two partial products, then their sum.
    cut, mantissa_bits = MULTIPLIER_BITS, len(scale.mantissa)
    low = multiplied(m, delta[:cut], scale.mantissa, f"{prefix}low")
    high = multiplied(m, delta[cut:], scale.mantissa, f"{prefix}high")
    product = stage(params.widths.delta_bits + mantissa_bits, "product")
    m.d.sync += product.eq(low + (high << cut))
    shift = delayed_data(m, scale.shift, MULTIPLY + 1, f"{prefix}shift")

    # 2^shift in two steps, to keep each register's logic shallow
    coarse, fine = stage(len(product), "coarse"), stage(len(product), "fine")
    fine_shift = delayed_data(m, shift[:3], 1, f"{prefix}fine_shift")
    m.d.sync += [coarse.eq(product >> (shift[3:] << 3)), fine.eq(coarse >> fine_shift)]
    rounded, exponent = stage(len(product), "rounded"), stage(params.widths.exp_bits, "exponent")
    m.d.sync += [
        rounded.eq((fine + 1) >> 1),
        exponent.eq(Mux(rounded[params.widths.exp_bits :].any(), 2**params.widths.exp_bits - 1, rounded)),
    ]

    read_port = table.read_port()
    m.d.comb += read_port.addr.eq(exponent[: params.widths.exp_fraction_bits])
    read_slices = 1 + params.pipeline.exp_read  # block RAM is slow to answer
    entry = delayed_data(m, read_port.data, read_slices, f"{prefix}entry")
    halvings = delayed_data(m, exponent[params.widths.exp_fraction_bits :], 1 + read_slices, f"{prefix}halvings")
    shifted = stage(len(entry), "shifted")
    m.d.sync += shifted.eq(entry >> halvings)
    return shifted


def round_weight(m: Module, prob: Value, guarded: Signal, kept: Any, arrived: Any, last: Any, prefix: str = "") -> None:
    """Into the register `prob`, a key's weight from its `w`; the remainder passes to the row's next kept key."""
    round_weights(m, [(prob, guarded, kept)], arrived, last, prefix)


def round_weights(
    m: Module, keys: Sequence[tuple[Value, Signal, Any]], arrived: Any, last: Any, prefix: str = ""
) -> None:
    """The same for the keys of an item, (`prob`, `w`, kept) of each: one is kept only if the one before it is."""
    remainder = Signal(EXP_GUARD_BITS, init=2 ** (EXP_GUARD_BITS - 1), name=f"{prefix}remainder")
    before: Value = remainder
    # w has its greatest value with all guard bits zero, so adding a remainder never carries out of the weight.
    for (prob, guarded, kept), name in zip(keys, numbered(f"{prefix}total", len(keys)), strict=True):
        total = Signal(guarded.shape(), name=name)
        m.d.comb += total.eq(guarded + before)
        m.d.sync += prob.eq(Mux(kept, total >> EXP_GUARD_BITS, 0))
        with m.If(arrived & kept):
            m.d.sync += remainder.eq(total)
        before = total[:EXP_GUARD_BITS]
    with m.If(arrived & last):
        m.d.sync += remainder.eq(remainder.init)
