"""The register map of a multi-head core. Every name, address and field below is part of the contract.

Gateware (:mod:`latte_hw.system.csr.register_file`), driver constants, SystemRDL and all that comes from it, and the
page `docs/registers.md` are made from this table; nothing else states an address. Needs the standard library only.
"""

import re

from latte_hw import __version__
from latte_hw.config import LatteConfig, Rule
from latte_hw.config.top import MAX_CORES, STREAM_BITS, Packets, TopConfig
from latte_hw.params import SCALE_MANTISSA_BITS, SCALE_SHIFT_BITS, HeadParams
from latte_hw.params.programming import Programming
from latte_hw.system.csr import names
from latte_hw.system.csr.model import Access, Block, Field, Register, RegisterMap
from latte_hw.system.events import (
    COMMAND_ERRORS,
    CORE_COUNTERS,
    COUNTERS,
    LENGTH_BITS,
    PACKET_ERRORS,
    RANGE_ERRORS,
)


def register_map(
    config: LatteConfig, *, cores: int, stream_bits: int, entries: int, packets: Packets = Packets.HEAD
) -> RegisterMap:
    """Registers of `cores` head cores of `config` behind streams of `stream_bits`, with a table of `entries` entries.

    `config` may be of a derived class: its hash is what identifies the core to the driver.
    """
    for name, value, most in (("cores", cores, MAX_CORES), ("entries", entries, names.MAX_ENTRIES)):
        if not 1 <= value <= most:
            raise ValueError(f"{name} must be from 1 to {most}, not {value}")
    if stream_bits not in STREAM_BITS:
        raise ValueError(f"stream_bits must be 32, 64, 128, 256 or 512, not {stream_bits}")
    params = HeadParams(config)
    registers = (
        *_identity(params, cores, stream_bits, entries, packets),
        *_control(),
        *_layer(),
        *_events(params),
        *_counter_words(COUNTERS, names.COUNTERS_BASE),
    )
    core = Block(
        "core",
        names.CORE_COUNTERS_BASE,
        cores,
        names.CORE_STRIDE,
        "Counters of one head core, of the latest snapshot.",
        tuple(_counter_words(CORE_COUNTERS, 0)),
    )
    return RegisterMap(
        "latte",
        "LATTE multi-head attention core",
        "Registers behind s_axil. Words of 32 bits. Addresses without a register, writes to registers that cannot be "
        "written, unaligned addresses and writes that do not strobe all four bytes answer SLVERR and change nothing. "
        "Bits without a field read 0 and ignore what is written.",
        names.ADDRESS_BITS,
        registers,
        (core, _table(params, entries)),
    )


def top_registers(config: TopConfig) -> RegisterMap:
    """The register map of :class:`latte_hw.system.top.LatteTop`."""
    return register_map(
        config,
        cores=config.cores,
        stream_bits=config.stream_bits,
        entries=config.table_entries,
        packets=config.packets,
    )


def _constant(name: str, lsb: int, width: int, value: int, description: str) -> Field:
    return Field(name, lsb, width, Access.CONSTANT, description, value)


def _bit(name: str, lsb: int, access: Access, description: str, reset: int = 0) -> Field:
    return Field(name, lsb, 1, access, description, reset)


def _identity(params: HeadParams, cores: int, stream_bits: int, entries: int, packets: Packets) -> list[Register]:
    config = params.config
    major, minor, patch = (int(part) for part in re.findall(r"\d+", __version__)[:3])
    digest = config.sha256()
    hash_words = [
        Register(
            f"config_hash_{word}",
            0x008 + 4 * word,
            f"Hexadecimal digits {8 * word} to {8 * word + 7} of the configuration's SHA-256.",
            (
                _constant(
                    "hash", 0, 32, int(digest[8 * word : 8 * word + 8], 16), "Eight digits, the first one highest."
                ),
            ),
        )
        for word in range(2)
    ]
    return [
        Register(
            "id",
            0x000,
            "What this core is.",
            (_constant("id", 0, 32, names.CORE_ID, 'ASCII "LATT", L in the top byte.'),),
        ),
        Register(
            "version",
            0x004,
            "Version of the generator that made this core.",
            (
                _constant("patch", 0, 8, patch, "Fixes only."),
                _constant("minor", 8, 8, minor, "Additions that old drivers can live with."),
                _constant("major", 16, 8, major, "Changes that old drivers cannot live with."),
            ),
        ),
        *hash_words,
        Register(
            "capabilities_0",
            0x010,
            "Shape of a head.",
            (
                _constant("head_dim", 0, 16, config.head_dim, "Elements of a query, key or value."),
                _constant("max_keys", 16, 16, config.max_keys, "Most keys of a head, and most queries of a layer."),
            ),
        ),
        Register(
            "capabilities_1",
            0x014,
            "Shape of the core.",
            (
                _constant("cores", 0, 4, cores, "Head cores that work in parallel."),
                _constant("out_bytes", 4, 2, params.widths.out_bytes, "Bytes of an output element."),
                _constant(
                    "causal", 6, 1, int(config.causal), "Whether query i sees only keys up to i + causal_offset."
                ),
                _constant(
                    "layer_packets",
                    7,
                    1,
                    int(packets is Packets.LAYER),
                    "Whether a packet holds a layer, not a head.",
                ),
                _constant("stream_words", 8, 5, stream_bits // 32, "Width of the streams in words of 32 bits."),
                _constant("queries_per_scan", 16, 5, config.queries_per_scan, "Queries that share a scan of the keys."),
                _constant("table_entries", 21, 9, entries, "Entries of the per-head table."),
            ),
        ),
        _numbers(params),
    ]


def _numbers(params: HeadParams) -> Register:
    widths, config = params.widths, params.config
    return Register(
        "capabilities_2",
        0x018,
        "What the numbers in packets and table mean.",
        (
            _constant(
                "element_max",
                0,
                8,
                widths.quant_max,
                f"Greatest element of q and k, whose least is -128. A greater one is taken as {widths.quant_max} and "
                "sets q_range or k_range of `errors`. Elements of v are -128 to 127."
                if widths.quant_max < widths.value_max
                else "Greatest element of q, k and v, whose least is -128: any int8.",
            ),
            _constant(
                "low_bits",
                8,
                4,
                widths.low_bits,
                "Bits of q and k that the estimate leaves out (L): a step of it is worth 4**L products.",
            ),
            _constant(
                "exponent_fraction_bits", 12, 4, widths.exp_fraction_bits, "Fraction bits of the softmax's exponent."
            ),
            _constant(
                "out_fraction_bits",
                16,
                4,
                config.out_fraction_bits,
                "Fraction bits of an output element below v's step.",
            ),
            _constant(
                "static_rule",
                20,
                1,
                int(config.rule is Rule.STATIC),
                "Whether a threshold is the least estimate, and signed, not a distance from the best.",
            ),
        ),
    )


def _control() -> list[Register]:
    return [
        Register(
            "control",
            0x020,
            "Commands: write 1. START and APPEND go by the `keep` of the same write; START wins over APPEND.",
            (
                _bit("start", 0, Access.COMMAND, "Run a layer of the lengths in layer_heads and layer_lengths."),
                _bit("append", 1, Access.COMMAND, "Add one row to K and V of every K/V head and run one query a head."),
                _bit("keep", 2, Access.CONFIG, "Keep K and V after the command, so that APPEND can follow."),
                _bit(
                    "soft_reset", 3, Access.PULSE, "Return everything to the state after reset, in-flight data dropped."
                ),
                _bit("snapshot", 4, Access.PULSE, "Copy all counters, in one cycle, to where they are read."),
            ),
        ),
        Register(
            "status",
            0x024,
            "What the core does.",
            (
                _bit("busy", 0, Access.STATUS, "A layer or an APPEND runs, or is about to."),
                _bit("idle", 1, Access.STATUS, "The opposite of busy.", 1),
                _bit("done", 2, Access.STATUS, "The latest START or APPEND has finished; the next one clears it."),
            ),
        ),
    ]


def _layer() -> list[Register]:
    def length(name: str, lsb: int, width: int, description: str) -> Field:
        return Field(name, lsb, width, Access.CONFIG, description)

    return [
        Register(
            "layer_heads",
            0x028,
            "Heads of the next layer. Query head h has K/V head h // group_size and table entry h.",
            (
                length("heads", 0, LENGTH_BITS, "Query heads, 1 to table_entries."),
                length("group_size", 16, LENGTH_BITS, "Query heads per K/V head; divides heads."),
            ),
        ),
        Register(
            "layer_lengths",
            0x02C,
            "Rows of the next layer, of every head.",
            (
                length("n_queries", 0, LENGTH_BITS, "Queries of a query head, 1 to max_keys."),
                length("n_keys", 16, LENGTH_BITS, "Keys of a K/V head, 1 to max_keys."),
            ),
        ),
        Register(
            "causal_offset",
            0x030,
            "Of a causal core: query i sees keys j <= i + offset. n_keys - n_queries aligns the last query with the "
            "last key.",
            (Field("offset", 0, LENGTH_BITS, Access.CONFIG, "Two's complement; no extension beyond.", signed=True),),
        ),
    ]


def _events(params: HeadParams) -> list[Register]:
    packet = {name: f"{text}." for name, text in PACKET_ERRORS.items()}
    command = {name: f"{text}." for name, text in COMMAND_ERRORS.items()}
    errors = [_bit(name, 4 * (i // 3) + i % 3, Access.STICKY, text) for i, (name, text) in enumerate(packet.items())]
    errors += [_bit(name, 12 + i, Access.STICKY, text) for i, (name, text) in enumerate(command.items())]
    any_int8 = params.widths.quant_max == params.widths.value_max
    limit = "127: never set" if any_int8 else f"{params.widths.quant_max}"
    errors += [
        _bit(name, 16 + i, Access.STICKY, f"{text}, {limit}.") for i, (name, text) in enumerate(RANGE_ERRORS.items())
    ]
    causes = {"done": "A layer or an APPEND has finished.", "error": "A bit of `errors` was set."}
    return [
        Register("errors", 0x034, "What went wrong since it was cleared; write 1 to clear a bit.", tuple(errors)),
        Register(
            "irq_enable",
            0x038,
            "Causes that raise irq.",
            tuple(_bit(name, i, Access.LEVEL, text) for i, (name, text) in enumerate(causes.items())),
        ),
        Register(
            "irq_status",
            0x03C,
            "Causes since they were cleared; write 1 to clear a bit. irq is high while a bit set here is enabled, too.",
            tuple(_bit(name, i, Access.STICKY, text) for i, (name, text) in enumerate(causes.items())),
        ),
    ]


def _counter_words(counters: dict[str, str], offset: int) -> list[Register]:
    return [
        Register(
            f"{name}_{half}",
            offset + 8 * i + 4 * j,
            f"{meaning[0].upper()}{meaning[1:]}: bits {32 * j + 31} to {32 * j} of the latest snapshot.",
            (Field("count", 0, 32, Access.STATUS, "Half of a 64-bit count."),),
        )
        for i, (name, meaning) in enumerate(counters.items())
        for j, half in enumerate(("lo", "hi"))
    ]


def _table(params: HeadParams, entries: int) -> Block:
    signed = params.config.rule is Rule.STATIC
    programming = Programming(params)
    return Block(
        "head_table",
        names.TABLE_BASE,
        entries,
        names.TABLE_STRIDE,
        "Threshold and softmax scale of one query head. May be written at any time: a layer uses what was there at its "
        f"START. RAM, which no reset clears. In the formulas {programming.quantities}. {programming.example_text}",
        (
            Register(
                "threshold",
                0,
                programming.threshold_text,
                (
                    Field(
                        "threshold",
                        0,
                        params.widths.threshold_bits,
                        Access.RAM,
                        f"In steps of the estimate, {'signed' if signed else 'unsigned'}.",
                        signed=signed,
                    ),
                ),
            ),
            Register(
                "scale",
                4,
                programming.scale_text,
                (
                    Field("mantissa", 0, SCALE_MANTISSA_BITS, Access.RAM, "Unsigned, a whole number."),
                    Field(
                        "shift",
                        SCALE_MANTISSA_BITS,
                        SCALE_SHIFT_BITS,
                        Access.RAM,
                        "Unsigned: places to the right, less one.",
                    ),
                ),
            ),
        ),
    )
