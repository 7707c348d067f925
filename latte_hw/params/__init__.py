"""What follows from a configuration, each quantity derived in exactly one place. Needs the standard library only.

:class:`HeadParams` is what hardware, golden model, testbenches, driver, estimate and documents read.
"""

from latte_hw.params.dot import TABLE_READS, DotTiming, TableShape, multiplier_dot_latency, table_shape, tree_levels
from latte_hw.params.fifo import BLOCK_RAM_LANDING_DEPTH, LUT_RAM_DEPTH, fifo_latency, fifo_words, in_block_ram
from latte_hw.params.head import CoreParams, HeadParams
from latte_hw.params.latency import FAN_OUT_COPIES, LOOK_AHEAD, MULTIPLY
from latte_hw.params.products import Products, dsp_products, takes_dsp
from latte_hw.params.widths import (
    EXP_GUARD_BITS,
    MULTIPLIER_BITS,
    SCALE_MANTISSA_BITS,
    SCALE_SHIFT_BITS,
    Range,
    ceil_div,
    signed_bits,
    unsigned_bits,
)

__all__ = [
    "BLOCK_RAM_LANDING_DEPTH",
    "EXP_GUARD_BITS",
    "FAN_OUT_COPIES",
    "LOOK_AHEAD",
    "LUT_RAM_DEPTH",
    "MULTIPLIER_BITS",
    "MULTIPLY",
    "SCALE_MANTISSA_BITS",
    "SCALE_SHIFT_BITS",
    "TABLE_READS",
    "CoreParams",
    "DotTiming",
    "HeadParams",
    "Products",
    "Range",
    "TableShape",
    "ceil_div",
    "dsp_products",
    "fifo_latency",
    "fifo_words",
    "in_block_ram",
    "multiplier_dot_latency",
    "signed_bits",
    "table_shape",
    "takes_dsp",
    "tree_levels",
    "unsigned_bits",
]
