"""Queues of :class:`latte_hw.lib.streams.Fifo`: what their RAM is made of, how much it holds, how late they answer."""

LUT_RAM_DEPTH = 64
"""Deepest queue that is made of LUT RAM; a deeper one takes block RAM."""

BLOCK_RAM_LANDING_DEPTH = 6
"""Depth of the short queue behind the block RAM of a deep one."""


def in_block_ram(depth: int) -> bool:
    """Whether the RAM of a queue of this depth is block RAM."""
    return depth > LUT_RAM_DEPTH


def fifo_words(depth: int) -> int:
    """Items in the RAM of a queue of this depth; the others lie behind it, see :class:`latte_hw.lib.streams.Fifo`."""
    return depth - 1 - in_block_ram(depth)


def fifo_latency(depth: int) -> int:
    """From writing into an empty queue of this depth to its output; see :class:`latte_hw.lib.streams.Fifo`."""
    return 5 if in_block_ram(depth) else 2
