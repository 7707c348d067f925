"""Integer arithmetic shared by the blocks: saturation, the split into high and low part, pipelined sums."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned

from latte_hw.config import Split
from latte_hw.params import MULTIPLY, CoreParams, ceil_div, takes_dsp, tree_levels, unsigned_bits
from latte_hw.params.widths import Widths


def high_shape(params: CoreParams) -> Any:
    """Shape of the high part of an element: signed, `msb_bits` wide."""
    return signed(params.config.msb_bits)


def low_shape(params: CoreParams) -> Any:
    """Shape of the low part of an element: `8 − msb_bits` wide, signed in the `balanced` split."""
    return signed(params.widths.low_bits) if params.widths.low_signed else unsigned(params.widths.low_bits)


def exceeds_split(widths: Widths, element: Value) -> Value:
    """Whether an int8 element is above `quant_max`, the greatest value that the split can hold.

    In the balanced split that is `0 1…1 0 1…1`, so a greater one is known by its bits, without a carry chain.
    """
    if widths.quant_max == widths.value_max:
        return Const(0, 1)
    return ~element[7] & element[widths.low_bits - 1 : 7].all()


def saturate_element(params: CoreParams, element: Value) -> Value:
    """An int8 element of q or k limited to `quant_max`."""
    if params.widths.quant_max == params.widths.value_max:
        return element.as_signed()
    above = exceeds_split(params.widths, element)
    return Mux(above, Const(params.widths.quant_max, signed(8)), element).as_signed()


def high_part(params: CoreParams, element: Value) -> Value:
    """`x >> L` (truncate) or `(x + 2^(L−1)) >> L` (balanced) of a saturated int8 element.

    Adding half and shifting is the same as adding the bit below the cut: an increment of M bits, written as logic of
    its bits, which is shorter than a carry chain.
    """
    low_bits = params.widths.low_bits
    truncated = element[low_bits:].as_signed()
    if params.config.split is Split.TRUNCATE or low_bits == 0:
        return truncated
    carry = element[low_bits - 1]
    return Cat(truncated[bit] ^ (carry & truncated[:bit].all()) for bit in range(params.config.msb_bits)).as_signed()


def low_part(params: CoreParams, element: Value) -> Value:
    """`x − (high << L)`: the low L bits of the element, read as signed in the `balanced` split."""
    low = element[: params.widths.low_bits]
    return low.as_signed() if params.widths.low_signed else low


def adder_tree(m: Module, terms: Sequence[tuple[Value, bool]], name: str) -> tuple[Value, int]:
    """Sum of `terms` with a register after every level of pairs.

    A term is (value, negative); a negative one is subtracted. Returns the sum, wide enough never to wrap, and its
    latency of ⌈log2(number of terms)⌉ cycles (one cycle more when everything is negative).
    """
    level = 0
    while len(terms) > 1:
        following: list[tuple[Value, bool]] = []
        for index in range(0, len(terms) - 1, 2):
            (first, first_negative), (second, second_negative) = terms[index], terms[index + 1]
            if first_negative and not second_negative:
                total, negative = second - first, False
            elif second_negative and not first_negative:
                total, negative = first - second, False
            else:
                total, negative = first + second, first_negative
            following.append((register(m, total, f"{name}_{level}_{index // 2}"), negative))
        if len(terms) % 2:
            value, negative = terms[-1]
            following.append((register(m, value, f"{name}_{level}_{len(terms) // 2}"), negative))
        terms = following
        level += 1
    value, negative = terms[0]
    if negative:
        return register(m, -value, f"{name}_negated"), level + 1
    return value, level


@dataclass(frozen=True)
class Addend:
    """An unsigned number and the greatest value that it takes."""

    value: Value
    greatest: int


def pairwise_sums(
    m: Module, lists: Sequence[Sequence[Addend]], name: str, registered: bool = True
) -> list[list[Addend]]:
    """One level of the sums of many lists: neighbours of each list added, an odd last one kept, all registered."""
    keep = register if registered else _named
    sums: list[list[Addend]] = []
    for index, addends in enumerate(lists):
        following = []
        for first, second in zip(addends[::2], addends[1::2], strict=False):
            greatest = first.greatest + second.greatest
            total = (first.value + second.value)[: unsigned_bits(greatest)]
            following.append(Addend(keep(m, total, f"{name}_{index}_{len(following)}"), greatest))
        if len(addends) % 2:
            last = addends[-1]
            following.append(Addend(keep(m, last.value, f"{name}_{index}_last"), last.greatest))
        sums.append(following)
    return sums


def weighted_sum(
    m: Module,
    planes: Sequence[Value],
    last_negative: bool,
    name: str,
    registered: Callable[[int], bool],
) -> Value:
    """`Σ 2^b · planes[b]`, the last one subtracted if `last_negative`, with a register after the `registered` levels
    of pairs.

    There are ⌈log2(number of planes)⌉ levels (1 for a single negative plane). What lies below the heavier plane of a
    pair passes by its adder.
    """
    terms: list[tuple[int, Value]] = list(enumerate(planes))  # (weight, value); the sign stays with the last one
    level = 0
    while len(terms) > 1:
        keep = register if registered(level) else _named
        heavier: list[tuple[int, Value]] = []
        for index in range(0, len(terms) - 1, 2):
            (weight, low), (high_weight, high) = terms[index : index + 2]
            shift = high_weight - weight
            negative = last_negative and index + 2 == len(terms)
            last_negative = last_negative and not negative
            upper = (low >> shift) - high if negative else (low >> shift) + high
            joined = Cat(low[:shift], upper)
            total = joined.as_signed() if upper.shape().signed else joined.as_unsigned()
            heavier.append((weight, keep(m, total, f"{name}_{level}_{index // 2}")))
        if len(terms) % 2:
            weight, value = terms[-1]
            heavier.append((weight, keep(m, value, f"{name}_{level}_{len(terms) // 2}")))
        terms, level = heavier, level + 1
    value = terms[0][1]
    if not last_negative:
        return value
    return (register if registered(level) else _named)(m, -value, f"{name}_negated")


def multiplied(m: Module, first: Value, second: Value, name: str) -> Value:
    """`first · second`, `MULTIPLY` cycles later."""
    product = multiplication(m, first, second, name, registered=lambda level: level % 2 == 0)
    levels = 0 if takes_dsp(len(first), len(second)) else tree_levels(min(len(first), len(second)))
    for cycle in range(ceil_div(levels, 2), MULTIPLY):
        product = register(m, product, f"{name}_{cycle}")
    return product


def multiplication(
    m: Module, first: Value, second: Value, name: str, registered: Callable[[int], bool] = lambda _: False
) -> Value:
    """`first · second`: a multiplication where that is to take a DSP block, else the sum of the second's rows, each
    for a bit of the first, with a register after the `registered` levels of pairs."""
    if takes_dsp(len(first), len(second)):
        return first * second
    if len(second) < len(first):
        first, second = second, first
    rows = [_signed_like(second.as_unsigned() & bit.replicate(len(second)), second) for bit in first]
    total = weighted_sum(m, rows, first.shape().signed, name, registered)
    product = total[: len(first) + len(second)]
    return _signed_like(product, total)


def multiple(value: Value, factor: int) -> Value:
    """`factor · value`, both unsigned, as a sum of shifts: a product with a constant may take a DSP block as well."""
    shifted: list[Value] = [value << bit for bit in range(factor.bit_length()) if factor >> bit & 1]
    return reduce(add, shifted) if shifted else Const(0)


def _signed_like(value: Value, other: Value) -> Value:
    return value.as_signed() if other.shape().signed else value


def reaches(m: Module, value: Value, limit: Value, halves: int, name: str, *, strictly: bool = False) -> Value:
    """`value >= limit`, or `value > limit`; with `halves`, a cycle later, for their high and low halves first."""
    if not halves:
        return value > limit if strictly else value >= limit
    width = max(len(value), len(limit)) + 1
    first, second = _widened(value, width), _widened(limit, width)
    low = width // 2
    above = register(m, first[low:].as_signed() > second[low:].as_signed(), f"{name}_above")
    equal = register(m, first[low:] == second[low:], f"{name}_equal")
    lower = first[:low] > second[:low] if strictly else first[:low] >= second[:low]
    return above | (equal & register(m, lower, f"{name}_lower"))


def register_exceeds(m: Module, first: Value, second: Value, halves: int, name: str) -> Value:
    """`first > second` a cycle later; with `halves`, joined in that cycle from those of their halves."""
    exceeds = reaches(m, first, second, halves, name, strictly=True)
    return exceeds if halves else register(m, exceeds, name)


def _widened(value: Value, width: int) -> Value:
    return Cat(value, (value[-1] if value.shape().signed else Const(0, 1)).replicate(width - len(value)))


def running_best(
    m: Module, value: Value, valid: Value, last: Value, name: str, *, ahead: int, counts: Value | None = None, **of: Any
) -> Signal:
    """The greatest signed `value` of a row so far, in a register, a cycle after each; `last` ends a row. One that does
    not count is passed over.

    A comparison whose result is needed in the next cycle is a loop. With `ahead` it may take two cycles, since values
    are joined in pairs first: the best so far is that of two cycles before, or one of the last two values. It is known
    `LOOK_AHEAD` cycles later.
    """
    best, starts = Signal(value.shape(), name=name, **of), Signal(init=1, name="row_starts")
    with m.If(valid):
        m.d.sync += starts.eq(last)
        if not ahead:
            better = starts | (value > best)
            with m.If(better if counts is None else counts & better):
                m.d.sync += best.eq(value)
    if not ahead:
        return best

    def step(one: Value, what: str) -> Signal:
        return register(m, one, f"{name}_{what}")

    least = Const(-(2 ** (len(value) - 1)), value.shape())
    present = step(Mux(valid if counts is None else valid & counts, value, least), "present")
    begins = step(valid & starts, "begins")
    before, began = step(present, "before"), step(begins, "began")
    present_wins, cut = step(begins | (present > before), "present_wins"), step(begins | began, "cut")
    pair = step(Mux(present_wins, step(present, "pair_present"), step(before, "pair_before")), "pair")
    pair_wins = step(step(cut, "pair_cut") | (pair > best), "pair_wins")
    m.d.sync += best.eq(Mux(pair_wins, step(pair, "new"), step(best, "old")))
    return best


def register(m: Module, value: Value, name: str) -> Signal:
    """`value` one cycle later; not reset, since what passes a pipeline means nothing without its `valid`."""
    result = Signal(value.shape(), name=name, reset_less=True)
    m.d.sync += result.eq(value)
    return result


def _named(m: Module, value: Value, name: str) -> Signal:
    """`value` under a name, in the same cycle."""
    result = Signal(value.shape(), name=name)
    m.d.comb += result.eq(value)
    return result
