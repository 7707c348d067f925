"""Names of a layer's errors and counters, with their meaning; gateware, registers and driver read them here."""

LENGTH_BITS = 16
"""Bits of every number of heads or rows that describes a layer."""

STREAMS = ("q", "k", "v")

PACKET_KINDS = {
    "short": "tlast came before the packet was complete; the missing rows count as 0",
    "long": "the packet went on where tlast was due; the rest, up to tlast, was dropped",
    "hole": "tkeep was not contiguous from lane 0, or not full before the packet's last byte",
}
"""What can be wrong with a packet."""

PACKET_ERRORS = {
    f"{stream}_{kind}": f"s_axis_{stream}: {text}" for kind, text in PACKET_KINDS.items() for stream in STREAMS
}
"""One sticky bit for each kind and each input stream."""

RANGE_ERRORS = {
    f"{stream}_range": f"s_axis_{stream}: an element was above element_max of capabilities_2, the greatest that the "
    "split holds, and was taken as that"
    for stream in ("q", "k")
}
"""Of the streams whose elements are split; the result is that of the elements as they were taken."""

BUSY_WRITE = "busy_write"

COMMAND_ERRORS = {
    "length_zero": "START with no heads, no queries, no keys or a group of 0, or APPEND with nothing kept. It was "
    "refused",
    "length_too_large": "START with more heads than table entries, more keys or queries than max_keys, a group that "
    "does not divide heads, or keep with more K/V heads than cores; or APPEND past max_keys. It was refused",
    BUSY_WRITE: "START, APPEND or configuration was written while the core was busy; it was refused",
}

ERRORS = PACKET_ERRORS | RANGE_ERRORS | COMMAND_ERRORS
"""Every sticky error."""

CORE_COUNTERS = {
    "queries": "output rows delivered",
    "keys_seen": "valid query-key pairs estimated",
    "survivors": "pairs that passed the early drop against the running maximum",
    "kept": "pairs that passed the filter",
}
"""Counters that each core has."""

WHOLE_COUNTERS = {
    "cycles_busy": "clock cycles with a layer or an APPEND running",
    "stalled_input": "busy clock cycles in which no core could go on for want of input",
    "stalled_output": "clock cycles with an output beat offered and not taken",
}
"""Counters that the cores share."""

COUNTERS = {
    **WHOLE_COUNTERS,
    **{name: f"{meaning}, all cores together" for name, meaning in CORE_COUNTERS.items()},
}
"""Counters of the whole core. All run from reset, wrap at their hardware width and are read through a snapshot."""
