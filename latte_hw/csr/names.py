"""Bases, limits and names of the register map: its errors and its counters. Needs the standard library only."""

ADDRESS_BITS = 13
"""Bits of a byte address: the map takes 8 KiB."""

CORE_ID = int.from_bytes(b"LATT", "big")
COUNTERS_BASE = 0x100
CORE_COUNTERS_BASE, CORE_STRIDE = 0x200, 0x20
TABLE_BASE, TABLE_STRIDE = 0x1000, 8
MAX_CORES, MAX_ENTRIES = 8, 256
STREAM_WIDTHS = (32, 64, 128, 256, 512)
LENGTH_BITS = 16
"""Bits of every number of heads or rows in a register."""

STREAMS = ("q", "k", "v")

PACKET_ERRORS = {
    "short": "tlast came before the packet was complete; the missing rows count as 0",
    "long": "the packet went on where tlast was due; the rest, up to tlast, was dropped",
    "hole": "tkeep was not contiguous from lane 0, or not full before the last beat",
}
"""What can be wrong with a packet; one sticky bit for each and each input stream."""

BUSY_WRITE = "busy_write"

COMMAND_ERRORS = {
    "length_zero": "START with no heads, no queries, no keys or a group of 0, or APPEND with nothing kept. It was "
    "refused",
    "length_too_large": "START with more heads than table entries, more keys or queries than max_keys, a group that "
    "does not divide heads, or keep with more K/V heads than cores; or APPEND past max_keys. It was refused",
    BUSY_WRITE: "START, APPEND or configuration was written while the core was busy; it was refused",
}

CORE_COUNTERS = {
    "queries": "output rows delivered",
    "keys_seen": "valid query-key pairs estimated",
    "survivors": "pairs that passed the early drop against the running maximum",
    "kept": "pairs that passed the filter",
}
"""Counters that each core has."""

COUNTERS = {
    "cycles_busy": "clock cycles with a layer or an APPEND running",
    "stalled_input": "busy clock cycles in which no core could go on for want of input",
    "stalled_output": "clock cycles with an output beat offered and not taken",
    **{name: f"{meaning}, all cores together" for name, meaning in CORE_COUNTERS.items()},
}
"""Counters of the whole core. All run from reset, wrap at their hardware width and are read through a snapshot."""
