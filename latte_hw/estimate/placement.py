"""Where Yosys puts a memory, block RAM or LUT RAM, and how many of them it takes: its own rule, the least cost."""

from dataclasses import dataclass

from latte_hw.estimate.memory import Memory
from latte_hw.params import ceil_div

MUX_COST = 0.5
"""Cost of a multiplexer bit behind a memory that is put together from several."""


@dataclass(frozen=True)
class RamKind:
    """``widths`` by number of words; its cost, what it counts as, and read ports beside the write port.

    With ``two_way`` the write port may read, too, but not at the width of the shallowest way, which takes both ports.
    """

    widths: dict[int, int]
    cost: float
    counts: float
    reads: int = 1
    two_way: bool = False


@dataclass(frozen=True)
class RamFamily:
    """The memories of one target, from Yosys's libraries: block RAM counts blocks, LUT RAM counts LUTs."""

    block: tuple[RamKind, ...]
    lut: tuple[RamKind, ...]


FAMILIES = {
    "xc7": RamFamily(
        block=(
            RamKind({512: 36, 1024: 18, 2048: 9, 4096: 4, 8192: 2, 16384: 1}, 129, 0.5, two_way=True),
            RamKind({512: 72, 1024: 36, 2048: 18, 4096: 9, 8192: 4, 16384: 2, 32768: 1}, 257, 1, two_way=True),
        ),
        lut=(RamKind({32: 6, 64: 3}, 8, 4), RamKind({32: 2, 64: 1}, 7, 4, 3)),
    ),
    "ecp5-85k": RamFamily(
        block=(RamKind({512: 36, 1024: 18, 2048: 9, 4096: 4, 8192: 2, 16384: 1}, 128, 1, two_way=True),),
        lut=(RamKind({16: 4}, 4, 4),),
    ),
}


@dataclass(frozen=True)
class Placement:
    """What all copies of a memory take."""

    blocks: float = 0
    luts: float = 0  # as memory
    muxes: int = 0  # bits of multiplexers behind LUT RAM


def place(memory: Memory, target: str) -> Placement:
    """Tables of dot products go to LUT RAM, for each is small; all others where they cost least."""
    family = FAMILIES[target]
    lut_cost, luts, muxes = min(_fill(memory, kind) for kind in family.lut)
    block_cost, blocks, _ = min(_fill(memory, kind) for kind in family.block)
    if memory.name.startswith("table_") or lut_cost < block_cost:
        return Placement(luts=luts * memory.copies, muxes=muxes * memory.copies)
    return Placement(blocks=blocks * memory.copies)


def _fill(memory: Memory, kind: RamKind) -> tuple[float, float, int]:
    """Cost, number counted, and multiplexer bits of the cheapest way to build a memory of one kind."""
    ways = []
    shares = memory.shares_write and kind.two_way
    for words, width in list(kind.widths.items())[shares:]:
        deep, ports = ceil_div(memory.words, words), ceil_div(memory.reads - shares, kind.reads)
        number = deep * ceil_div(memory.width, width) * ports
        muxes = (deep - 1) * memory.width * memory.reads
        ways.append((number * kind.cost + MUX_COST * muxes, number * kind.counts, muxes))
    return min(ways)
