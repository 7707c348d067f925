"""Which products take a DSP block, and how many of those a core has."""

from dataclasses import dataclass

from latte_hw.config import TOTAL_BITS, Dot, LatteConfig, Reuse
from latte_hw.params.widths import MULTIPLIER_BITS, SCALE_MANTISSA_BITS, Widths

NARROW = 5
"""A product whose narrower operand has at most so many bits is a sum of rows in the Verilog, and no multiplication.

Yosys gives a product of two bits a DSP block on one family and none to one of twelve bits on another (0.64: ECP5 from
2, Nexus and Gowin from 4, 7 series from 5 bits). Above this width, all families with DSP blocks take one for a product.
"""


def takes_dsp(first_bits: int, second_bits: int) -> bool:
    """Whether a product of operands of so many bits is written as a multiplication, which takes one DSP block."""
    return min(first_bits, second_bits) > NARROW


@dataclass(frozen=True)
class Products:
    """Equal multiplications of a core, each for one DSP block of 18 x 18 bits or more."""

    of: str
    bits: tuple[int, int]
    """Of the operands, a sign among them where one is signed."""
    count: int


def dsp_products(config: LatteConfig) -> list[Products]:
    """The multiplications of a head, or of a dense core by the head whose parts it shares."""
    widths = Widths(config)
    slots = config.queries_per_scan * config.kept_per_cycle
    low_delta = min(widths.delta_bits, MULTIPLIER_BITS)
    products = [
        Products("weight and value", (config.prob_bits, TOTAL_BITS), slots * config.head_dim),
        Products("distance and scale", (low_delta, SCALE_MANTISSA_BITS), slots),
        Products("distance's upper bits and scale", (widths.delta_bits - low_delta, SCALE_MANTISSA_BITS), slots),
    ]
    high, low = config.msb_bits, widths.low_bits
    if config.dot_choice.dot is Dot.MULTIPLIERS:
        count = config.queries_per_scan * config.keys_per_cycle * config.head_dim
        products.append(Products("high parts", (high, high), count))
    if config.reuse_choice.dot is Dot.MULTIPLIERS:
        products += [
            Products("high and low parts", (high, low), 2 * slots * config.head_dim),
            Products("low parts", (low, low), slots * config.head_dim * (config.reuse is Reuse.EXACT)),
        ]
    return [one for one in products if one.count and takes_dsp(*one.bits)]
