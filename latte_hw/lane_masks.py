"""Masks of lanes, one bit each, lowest first."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Value


def without_lowest(mask: Value) -> Value:
    """The mask without its lowest bit that is set."""
    return Cat(mask[lane] & mask[:lane].any() for lane in range(len(mask)))


def lowest_two(mask: Value) -> tuple[Value, Value, Value]:
    """The lowest bit that is set, the next one, and the others, each as a mask; from how many are set below each bit,
    found in ⌈log2 n⌉ steps for a mask of n bits."""
    up_to: list[tuple[Value, Value]] = [(bit, Const(0, 1)) for bit in mask]  # any, more than one
    distance = 1
    while distance < len(mask):
        up_to = [*up_to[:distance], *map(_joined, up_to, up_to[distance:])]
        distance *= 2
    below = [(Const(0, 1), Const(0, 1)), *up_to[:-1]]
    first = Cat(bit & ~some for bit, (some, _) in zip(mask, below, strict=True))
    second = Cat(bit & some & ~more for bit, (some, more) in zip(mask, below, strict=True))
    others = Cat(bit & more for bit, (_, more) in zip(mask, below, strict=True))
    return first, second, others


def highest(mask: Value) -> Value:
    """The highest bit that is set, alone."""
    return Cat(mask[lane] & ~mask[lane + 1 :].any() for lane in range(len(mask)))


def chosen(places: Value, values: Any) -> Value:
    """The value at the one place that is set; 0 without one."""
    every = [Value.cast(values[place]) & bit.replicate(len(values[place])) for place, bit in enumerate(places)]
    return reduce(or_, every)


def several(mask: Value) -> Value:
    """Whether more than one bit is set."""
    return _any_and_more(list(mask))[1]


def popcount(mask: Any, enable: Value) -> Value:
    """How many bits are set; 0 unless enabled."""
    return sum((bit & enable for bit in Value.cast(mask)), start=Const(0, 1))


def _any_and_more(bits: list[Value]) -> tuple[Value, Value]:
    """Whether any bit is set, and whether more than one is: a tree."""
    if len(bits) == 1:
        return bits[0], Const(0, 1)
    return _joined(*(_any_and_more(bits[side::2]) for side in range(2)))


def _joined(one: tuple[Value, Value], other: tuple[Value, Value]) -> tuple[Value, Value]:
    """Of two masks together, from whether any bit of each is set, and more than one."""
    (first, more_first), (second, more_second) = one, other
    return first | second, more_first | more_second | (first & second)
