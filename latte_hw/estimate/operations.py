"""Multiplications: those that a core can do per cycle, and those that a run needs.

A product of 4×4 bits counts 1, one of 8×8 bits 4: a×b bits count a·b / 16.
"""

from latte_hw.config import TOTAL_BITS, CoreConfig, LatteConfig, Reuse
from latte_hw.params import HeadParams

UNIT_BITS = 16
FULL = TOTAL_BITS * TOTAL_BITS / UNIT_BITS
"""Operations of an 8×8-bit product."""


def estimate_operations(params: HeadParams) -> float:
    """Of the estimate of one key: per dimension a product of two high parts."""
    return params.config.head_dim * params.config.msb_bits**2 / UNIT_BITS


def kept_operations(params: HeadParams) -> float:
    """Of a kept key: per dimension the products that complete its score, and the one with its value."""
    crossed = 2 * params.config.msb_bits * params.widths.low_bits / UNIT_BITS
    low = params.widths.low_bits**2 / UNIT_BITS if params.config.reuse is Reuse.EXACT else 0
    return params.config.head_dim * (crossed + low + FULL)


def operations_per_cycle(config: CoreConfig) -> float:
    """Of all multipliers that a core has, busy or not."""
    if not isinstance(config, LatteConfig):
        return config.queries_per_scan * config.head_dim * 2 * FULL
    params = HeadParams(config)
    every = config.keys_per_cycle * estimate_operations(params)
    return config.queries_per_scan * (every + config.kept_per_cycle * kept_operations(params))


def operations_of_run(config: CoreConfig, valid: int, kept: int) -> float:
    """Needed for so many valid pairs of query and key, and kept ones among them."""
    if not isinstance(config, LatteConfig):
        return valid * config.head_dim * 2 * FULL
    params = HeadParams(config)
    return valid * estimate_operations(params) + kept * kept_operations(params)
