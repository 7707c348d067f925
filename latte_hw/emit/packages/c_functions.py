"""C functions beside the register header: the words of a head's table from real numbers."""

import math

from latte_hw.config import Rule
from latte_hw.config.top import TopConfig
from latte_hw.emit.names import ENTRY_ENDING
from latte_hw.emit.packages.core_files import CoreFiles, heading
from latte_hw.emit.packages.templates import render
from latte_hw.emit.registers.exports import include_guard, table_notes
from latte_hw.params import SCALE_SHIFT_BITS, HeadParams
from latte_hw.system.csr.model import RegisterMap


def c_functions(config: TopConfig, files: CoreFiles, registers: RegisterMap) -> str:
    """Text of a header that needs the register header only.

    Its function gives what :meth:`HeadParams.threshold_register` and :meth:`HeadParams.softmax_scale_register` give, to
    the last bit where `double` is IEEE 754's: the same operations in the same order.
    """
    params, table = HeadParams(config), registers.block("head_table")
    low, high = params.widths.threshold_range
    static = config.rule is Rule.STATIC
    return render(
        "latte_program.h",
        {
            "heading": heading(config, "C functions"),
            "notes": table_notes(registers),
            "guard": include_guard(files.functions, registers),
            "header": files.header,
            "entry": f"{registers.name}{ENTRY_ENDING}",
            "block": table.name,
            "macro": f"{registers.name}__{table.name}".upper(),
            "root": repr(math.sqrt(config.head_dim)),
            "log2_e": repr(math.log2(math.e)),
            "estimate_unit": 4**params.widths.low_bits,
            "exponent_unit": 2**params.widths.exp_fraction_bits,
            "tau_range": "finite" if static else "0 or more and finite",
            "tau_least": "-DBL_MAX" if static else "0.0",
            "threshold_least": low,
            "threshold_greatest": high,
            "greatest_shift": 2**SCALE_SHIFT_BITS - 1,
        },
    )
