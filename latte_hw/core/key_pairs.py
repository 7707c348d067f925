"""How two kept keys leave the filter per cycle: survivors are checked two beats at a time, and kept keys come in pairs.

A pair may span beats, and a beat may keep an odd number of keys. So the highest key of an odd number is carried over to
the next entry of the queue of kept keys: each entry holds an even number of keys, at least two, but for the last one of
a row, and two leave in every cycle in which an entry is there. Which keys begin a pair and which end one is worked out
before the queue, so that behind it both kinds leave lowest first without knowing of each other.
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data

from latte_hw.lib.arith import register
from latte_hw.lib.masks import behind_odd, chosen, highest, popcount
from latte_hw.lib.streams import CreditFifo, delayed, delayed_data
from latte_hw.params import HeadParams


def join_beats(m: Module, queue: CreditFifo, beat: Any, valid: Value, name: str) -> None:
    """Send beats that have a key to their queue, one register later, two to an entry.

    The beat that ends a row goes at once, with a key or without, alone or as the second. Every beat has a credit, and
    an entry needs one: the others are returned.
    """
    layout = queue.i.payload.shape()
    pair = Signal(layout, name=f"{name}_pair", reset_less=True)
    holds = Signal(name=f"{name}_holds")  # the first half is there, its row goes on
    needed = valid & (beat.last | Value.cast(beat.mask).any())
    completes = needed & (holds | beat.last)
    lanes = len(beat.mask)
    with m.If(needed):
        m.d.sync += holds.eq(~completes)
    # It means nothing unless needed: the wide registers do not wait for that.
    with m.If(~holds):
        m.d.sync += [
            pair.first_key[0].eq(beat.first_key),
            *(pair.mask[lane].eq(beat.mask[lane]) for lane in range(lanes)),
            *(pair.estimates[lane].eq(beat.estimates[lane]) for lane in range(lanes)),
        ]
    m.d.sync += [pair.last.eq(beat.last), pair.first_key[1].eq(beat.first_key)]
    for lane in range(lanes):
        m.d.sync += [
            pair.mask[lanes + lane].eq(beat.mask[lane] & holds),
            pair.estimates[lanes + lane].eq(beat.estimates[lane]),
        ]
    m.d.comb += [
        queue.i.payload.eq(pair),
        queue.i.valid.eq(delayed(m, completes, 1, f"{name}_completed")),
        queue.i_return.eq(delayed(m, valid & (~needed | holds), 1, f"{name}_cancelled")),
    ]


def carry_odd_key(m: Module, params: HeadParams, queue: CreditFifo, beats: Any, valid: Value) -> None:
    """Send checked beats to their queue, two registers later, with an even number of keys unless they end a row.

    The highest of an odd number, counted with the one that was carried over before, is carried over. The credit of
    an entry that would hold nothing is returned.
    """
    mask = Value.cast(beats.mask)
    checked = delayed_data(m, beats, 1, "counted")
    top = register(m, highest(mask), "top")
    filled = delayed(m, valid & mask.any(), 1, "filled")
    # Of each beat by itself, which is quicker: how many keys, those behind an even number of others, those behind odd.
    halves = [mask[: len(mask) // 2], mask[len(mask) // 2 :]]
    counts = [register(m, popcount(half, Const(1)), f"count_{beat}") for beat, half in enumerate(halves)]
    even = [register(m, half & ~behind_odd(half), f"even_{beat}") for beat, half in enumerate(halves)]
    odd = [register(m, half & behind_odd(half), f"odd_{beat}") for beat, half in enumerate(halves)]
    ends = delayed(m, valid & beats.last, 1, "ends")

    carries = Signal()
    carried = Signal(
        data.StructLayout({"key": params.widths.key_bits, "estimate": beats.estimates[0].shape()}), reset_less=True
    )
    shifts = [carries, carries ^ counts[0][0]]  # whether an odd number of keys comes before the beat
    leaves_one = filled & ~ends & (shifts[1] ^ counts[1][0])
    with m.If(filled | ends):
        m.d.sync += carries.eq(leaves_one)
    with m.If(filled):
        m.d.sync += [
            carried.key.eq(key_at(params, top, checked)),
            carried.estimate.eq(chosen(top, checked.estimates)),
        ]

    stays = ~(top & leaves_one.replicate(len(top)))
    entry = Signal(queue.i.payload.shape(), name="kept_entry", reset_less=True)
    m.d.sync += [
        *(entry[name].eq(checked[name]) for name in ("estimates", "first_key", "last")),
        Value.cast(entry.mask).eq(Cat(map(Mux, shifts, odd, even)) & stays),
        entry.second_mask.eq(Cat(map(Mux, shifts, even, odd)) & stays),
        entry.carried.eq(carries),
        entry.carried_key.eq(carried.key),
        entry.carried_estimate.eq(carried.estimate),
        entry.pairs.eq((sum(counts) + carries + ends) >> 1),  # 0 for a row's mere end
    ]
    single = ~Cat(count[1:] for count in counts).any() & ~(counts[0].any() & counts[1].any())
    needed = ends | (filled & (carries | ~single))  # a single key is carried over, and nothing is left
    m.d.comb += [
        queue.i.payload.eq(entry),
        queue.i.valid.eq(delayed(m, needed, 1, "checked_needed")),
        queue.i_return.eq(delayed(m, delayed(m, valid, 1, "checked_arrived") & ~needed, 1, "checked_cancelled")),
    ]


def _carries(entry: Any) -> bool:
    """Whether entries of that layout have a key of an earlier beat before their lanes."""
    return "carried" in entry.shape().members


def masks_of(entry: Any) -> list[Value]:
    """Masks of the kept keys of a queue's entry, in the order of the keys: one of all, or one of those that begin a
    pair and one of those that end one."""
    mask = Value.cast(entry.mask)
    return [Cat(entry.carried, mask), Cat(Const(0, 1), entry.second_mask)] if _carries(entry) else [mask]


def estimates_of(entry: Any) -> list[Value]:
    """Their estimates."""
    own = [entry.estimates[lane] for lane in range(len(entry.mask))]
    return [entry.carried_estimate, *own] if _carries(entry) else own


def key_at(params: HeadParams, mask: Value, entry: Any) -> Value:
    """Number of the key whose bit of a mask is set, the only one, in a queue's entry or in beats before the queue."""
    if _carries(entry):
        return Mux(mask[0], entry.carried_key, _key_of_beats(params, mask[1:], entry))
    return _key_of_beats(params, mask, entry)


def _key_of_beats(params: HeadParams, mask: Value, entry: Any) -> Value:
    lanes = params.config.keys_per_cycle
    if len(mask) == lanes:
        return _key_of_beat(params, mask, entry.first_key)
    first, second = mask[:lanes], mask[lanes:]
    return Mux(
        second.any(),
        _key_of_beat(params, second, entry.first_key[1]),
        _key_of_beat(params, first, entry.first_key[0]),
    )


def _key_of_beat(params: HeadParams, place: Value, first_key: Value) -> Value:
    lanes = params.config.keys_per_cycle
    lane = chosen(place, [Const(number, max(1, params.widths.lane_bits)) for number in range(lanes)])
    if lanes == 1:
        return first_key
    if lanes == 1 << params.widths.lane_bits:  # beats start at multiples of the lanes: no addition
        return Cat(lane, first_key[params.widths.lane_bits :])
    return first_key + lane
