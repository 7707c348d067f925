"""The self-checking testbench that comes with the core; it knows the answer without the golden model."""

from latte_hw.config import Rule, Split
from latte_hw.config.top import Packets, Reset, TopConfig
from latte_hw.emit.packages.core_files import CoreFiles, heading
from latte_hw.emit.packages.templates import render
from latte_hw.params import SCALE_MANTISSA_BITS, HeadParams
from latte_hw.system.csr.model import Access, RegisterMap

SCALE = 40000 | 17 << SCALE_MANTISSA_BITS
"""Any will do for keys of equal scores."""

STEEP = 2**SCALE_MANTISSA_BITS - 1
"""The least shift: the weight of a key whose score is a little less than the best is 0."""

REGISTERS = (
    *("id", "control", "status", "layer_heads", "layer_lengths", "causal_offset"),
    *("errors", "irq_enable", "irq_status", "queries_lo", "keys_seen_lo", "kept_lo"),
)
"""Registers whose addresses the template needs."""


def testbench(config: TopConfig, files: CoreFiles, registers: RegisterMap) -> str:
    """Verilog of the testbench, which ends with PASS, or with $fatal and what differed.

    A layer has two query heads per K/V head, one K/V head more than there are cores, some beats of keys with a
    remainder and some queries more than share a scan, as far as `max_keys` allows.
    """
    params = HeadParams(config)
    rounding = 1 << params.widths.low_bits >> 1 if config.split is Split.BALANCED else 0
    high = [element + rounding >> params.widths.low_bits for element in (64, 65)]
    error = {field.name: field for field in registers.register("errors").fields}
    active_low = config.reset is Reset.ARESETN
    table = registers.block("head_table")
    addresses = {name: _hex(registers.register(name).offset) for name in REGISTERS}
    return render(
        "latte_top_tb.v",
        {
            "heading": heading(config, "testbench"),
            "testbench": files.testbench_module,
            "head_dim": config.head_dim,
            "stream_bytes": config.stream_bytes,
            "out_bytes": params.widths.out_bytes,
            "out_fraction_bits": config.out_fraction_bits,
            "causal": int(config.causal),
            "kv_heads": config.cores + 1,
            "layer_packets": int(config.packets is Packets.LAYER),
            "keys": min(config.max_keys, 2 * config.keys_per_cycle + 3),
            "queries": min(config.max_keys, config.queries_per_scan + 2),
            "keep_best": params.widths.threshold_range[1] if config.rule is Rule.STATIC else 0,
            "same_estimate": int(high[0] == high[1]),
            "scale": SCALE,
            "steep": STEEP,
            "length_zero": f"32'h{error['length_zero'].mask << error['length_zero'].lsb:x}",
            "address_bits": registers.address_bits,
            "ip_top": files.wrapper_module,
            "reset": config.reset.value,
            "reset_value": "~in_reset" if active_low else "in_reset",
            "constants": _constant_checks(registers),
            "hole": _hex(_address_without_register(registers)),
            "table": _hex(table.offset),
            "table_stride": table.stride,
            **addresses,
        },
    )


def _hex(address: int) -> str:
    return f"32'h{address:x}"


def _constant_checks(registers: RegisterMap) -> str:
    constant = [r for r in registers.registers if all(field.access is Access.CONSTANT for field in r.fields)]
    return "".join(
        f"    check_register({_hex(register.offset)}, 32'h{register.reset:08x});  // {register.name}\n"
        for register in constant
    )


def _address_without_register(registers: RegisterMap) -> int:
    taken = {placed.address for placed in registers.placed()}
    return next(address for address in range(0, 1 << registers.address_bits, 4) if address not in taken)
