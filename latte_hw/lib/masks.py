"""Masks of lanes, one bit each, lowest first."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Value

CARRY_CHAIN_LANES = 17
"""From so many lanes on, the lowest one is found by a carry chain: Yosys makes a row of LUTs of them, one behind the
other, as long as another path is longer still."""


def without_lowest(mask: Value) -> Value:
    """The mask without its lowest bit that is set."""
    if len(mask) >= CARRY_CHAIN_LANES:
        return (mask & (mask - 1))[: len(mask)]
    return Cat(mask[lane] & mask[:lane].any() for lane in range(len(mask)))


def behind_odd(mask: Value) -> Value:
    """Of every bit, whether an odd number of bits is set below it."""
    return Cat(mask[:lane].xor() for lane in range(len(mask)))


def highest(mask: Value) -> Value:
    """The highest bit that is set, alone."""
    return Cat(mask[lane] & ~mask[lane + 1 :].any() for lane in range(len(mask)))


def chosen(mask: Value, values: Any) -> Value:
    """The value of the one bit that is set; 0 without one."""
    every = [Value.cast(values[lane]) & bit.replicate(len(values[lane])) for lane, bit in enumerate(mask)]
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
