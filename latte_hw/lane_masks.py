"""Masks of lanes, one bit each, lowest first."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Value


def without_lowest(mask: Value) -> Value:
    """The mask without its lowest bit that is set."""
    return Cat(mask[lane] & mask[:lane].any() for lane in range(len(mask)))


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
    (first, more_first), (second, more_second) = (_any_and_more(bits[side::2]) for side in range(2))
    return first | second, more_first | more_second | (first & second)
