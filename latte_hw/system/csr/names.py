"""Bases and limits of the register map. Needs the standard library only."""

ADDRESS_BITS = 13
"""Bits of a byte address: the map takes 8 KiB."""

CORE_ID = int.from_bytes(b"LATT", "big")
COUNTERS_BASE = 0x100
CORE_COUNTERS_BASE, CORE_STRIDE = 0x200, 0x20
TABLE_BASE, TABLE_STRIDE = 0x1000, 8
MAX_ENTRIES = 256
