"""What passes between the register file and the head cores, each field documented."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from latte_hw.config.top import Packets, TopConfig
from latte_hw.core.payloads import COUNTER_BITS, Payloads
from latte_hw.params import SCALE_MANTISSA_BITS, SCALE_SHIFT_BITS, HeadParams
from latte_hw.params.widths import unsigned_bits
from latte_hw.system import events
from latte_hw.system.events import CORE_COUNTERS, COUNTERS, LENGTH_BITS

COUNTER_TOTAL_BITS = 64
"""Width of a total; a head core counts in `COUNTER_BITS`."""

LAYER = data.StructLayout(
    {
        "heads": unsigned(LENGTH_BITS),  # query heads
        "group": unsigned(LENGTH_BITS),  # query heads per K/V head
        "n_queries": unsigned(LENGTH_BITS),  # per query head
        "n_keys": unsigned(LENGTH_BITS),  # per K/V head
        "causal_offset": signed(LENGTH_BITS),  # query i sees keys j <= i + causal_offset, in a causal core
        "keep": unsigned(1),  # K and V stay after the layer
    }
)
"""A layer as the registers describe it, in whatever numbers they hold."""

ERRORS = data.StructLayout(dict.fromkeys(events.ERRORS, unsigned(1)))
"""High for one cycle each: a packet of q, k or v that is short, long or has a hole in `tkeep`; an element of q or k
above `quant_max`; a command that was refused, for a length that is 0 or too large, or because the core was busy."""


def table_write(params: HeadParams, entries: int) -> data.StructLayout:
    """One write to the idle bank, of `entries` entries, of the table."""
    return data.StructLayout(
        {
            "head": unsigned(unsigned_bits(entries - 1)),  # which entry
            "threshold": Payloads(params).threshold,
            "mantissa": unsigned(SCALE_MANTISSA_BITS),
            "shift": unsigned(SCALE_SHIFT_BITS),
        }
    )


def totals(cores: int) -> data.StructLayout:
    """Totals since reset.

    `cycles_busy`; `stalled_input`: queries are due, but no core has one before its filter, nor is offered one whose K
    and V are there, for want of a packet of Q, K or V; `stalled_output`: an output beat is offered and not taken. A
    core that takes no query because its own later stages are full counts as neither. The others are those of
    :class:`latte_hw.core.payloads.Payloads`, summed up over the cores and then of every core.
    """
    core = data.StructLayout(dict.fromkeys(CORE_COUNTERS, unsigned(COUNTER_TOTAL_BITS)))
    return data.StructLayout(
        dict.fromkeys(COUNTERS, unsigned(COUNTER_TOTAL_BITS)) | {"cores": data.ArrayLayout(core, cores)}
    )


class LayerPayloads:
    """Payload shapes above the head cores that depend on the configuration."""

    def __init__(self, config: TopConfig) -> None:
        params = HeadParams(config.head_config)
        head_count = unsigned(unsigned_bits(config.table_entries))
        count = unsigned(params.widths.count_bits)
        whole = unsigned(unsigned_bits(config.packet_heads * config.max_keys))

        self.table_write = table_write(params, config.table_entries)
        self.counters = totals(config.cores)
        self.head_counters = data.StructLayout(dict.fromkeys(CORE_COUNTERS, unsigned(COUNTER_BITS)))
        """Of one head core."""

        self.plan = data.StructLayout(
            {
                "heads": head_count,
                "group": head_count,
                "kv_heads": head_count,
                "n_queries": count,
                "n_keys": count,  # rows of a packet of K or V: 1 to append
                "causal_offset": signed(params.widths.offset_bits),
                "keep": unsigned(1),
                "append": unsigned(1),
                "bank": unsigned(1),
            }
            | ({"q_rows": whole, "kv_rows": whole} if config.packets is Packets.LAYER else {})  # of all heads
        )
        """A layer, or a step of decoding, that has been checked and runs."""
