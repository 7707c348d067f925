"""Integer arithmetic shared by the blocks: saturation, the split into high and low part, pipelined sums."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed, unsigned

from latte_hw.config import Split
from latte_hw.params import HeadParams


def high_shape(params: HeadParams) -> Any:
    """Shape of the high part of an element: signed, `msb_bits` wide."""
    return signed(params.config.msb_bits)


def low_shape(params: HeadParams) -> Any:
    """Shape of the low part of an element: `8 − msb_bits` wide, signed in the `balanced` split."""
    return signed(params.low_bits) if params.low_signed else unsigned(params.low_bits)


def saturate_element(params: HeadParams, element: Value) -> Value:
    """An int8 element limited to `quant_max`, the greatest value that the split can hold."""
    limit = params.quant_max
    return Mux(element > limit, Const(limit, signed(8)), element).as_signed()


def high_part(params: HeadParams, element: Value) -> Value:
    """`x >> L` (truncate) or `(x + 2^(L−1)) >> L` (balanced) of a saturated int8 element.

    Adding half and shifting is the same as adding the bit below the cut, so the rounding costs an M-bit increment.
    """
    low_bits = params.low_bits
    truncated = element[low_bits:].as_signed()
    if params.config.split is Split.TRUNCATE or low_bits == 0:
        return truncated
    return (truncated + element[low_bits - 1])[: params.config.msb_bits].as_signed()


def low_part(params: HeadParams, element: Value) -> Value:
    """`x − (high << L)`: the low L bits of the element, read as signed in the `balanced` split."""
    low = element[: params.low_bits]
    return low.as_signed() if params.low_signed else low


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
            following.append((_registered(m, total, f"{name}_{level}_{index // 2}"), negative))
        if len(terms) % 2:
            value, negative = terms[-1]
            following.append((_registered(m, value, f"{name}_{level}_{len(terms) // 2}"), negative))
        terms = following
        level += 1
    value, negative = terms[0]
    if negative:
        return _registered(m, -value, f"{name}_negated"), level + 1
    return value, level


def _registered(m: Module, value: Value, name: str) -> Value:
    register = Signal(value.shape(), name=name)
    m.d.sync += register.eq(value)
    return register
