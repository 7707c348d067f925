"""Adder and register bits of a query-stationary dot product, level by level as the data path builds it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from latte_hw.params import TableShape, ceil_div, tree_levels, unsigned_bits

Term = tuple[str, int, bool]
"""Query part, bits of a key's element, whether it is signed."""


@dataclass(frozen=True)
class DotCount:
    """Bits of one dot product with all of its terms and lanes."""

    adder_bits: int = 0
    register_bits: int = 0
    product_bits: int = 0  # of multipliers built from LUTs or DSP blocks
    fill_bits: int = 0  # adders and registers that fill the tables

    def __add__(self, other: "DotCount") -> "DotCount":
        return DotCount(
            self.adder_bits + other.adder_bits,
            self.register_bits + other.register_bits,
            self.product_bits + other.product_bits,
            self.fill_bits + other.fill_bits,
        )

    def times(self, count: int) -> "DotCount":
        return DotCount(
            count * self.adder_bits, count * self.register_bits, count * self.product_bits, count * self.fill_bits
        )


def count_dot(
    dim: int, tables: TableShape | None, parts: Mapping[str, int], terms: Sequence[Term], lanes: int
) -> DotCount:
    """Without ``tables`` of multipliers; ``parts`` are the bits of a query element by part."""
    total = DotCount()
    for part, key_bits, signed in terms:
        bits = parts[part]
        if tables is None:
            products = DotCount(product_bits=dim * bits * key_bits, register_bits=dim * (bits + key_bits))
            sums = _tree([2 ** (bits + key_bits) - 1] * dim)
            total = total + (products + sums).times(lanes)
            continue
        total = total + _count_tables(dim, tables, bits, key_bits, signed).times(lanes)
    if tables is not None:
        size = tables.group_dims
        for bits in parts.values():
            filled = _tree([2**bits - 1] * size).times(ceil_div(dim, size))
            total = total + DotCount(fill_bits=filled.adder_bits + dim * bits)
    return total


def _count_tables(dim: int, tables: TableShape, bits: int, key_bits: int, key_signed: bool) -> DotCount:
    """Every group's entry of every bit plane of a key, read and added up, then the planes."""
    size = tables.group_dims
    greatest = [min(size, dim - first) * (2**bits - 1) for first in range(0, dim, size)]
    padding = (1 << tree_levels(dim)) - dim
    addends = greatest + [padding << (bits - 1)] * bool(padding)
    steps = tables.dot_steps(len(addends), key_bits, key_signed)

    def registered(step: int) -> bool:
        return tables.registered(step, steps)

    read = DotCount(register_bits=registered(0) * sum(map(unsigned_bits, greatest)))
    planes = (read + _tree(addends, lambda level: registered(1 + level))).times(key_bits)
    done = 1 + tree_levels(len(addends))
    return planes + _weighted(bits + tree_levels(dim), key_bits, lambda level: registered(done + level))


def _tree(greatest: Sequence[int], registered: Callable[[int], bool] = lambda _: True) -> DotCount:
    """Neighbours added, level after level, an odd last one carried on."""
    adders = registers = level = 0
    present = list(greatest)
    while len(present) > 1:
        sums = [first + second for first, second in zip(present[::2], present[1::2], strict=False)]
        adders += sum(map(unsigned_bits, sums))
        present = sums + present[len(present) // 2 * 2 :]
        registers += registered(level) * sum(map(unsigned_bits, present))
        level += 1
    return DotCount(adders, registers)


def _weighted(bits: int, planes: int, registered: Callable[[int], bool]) -> DotCount:
    """The planes, each weighing twice the one before; what lies below the heavier one of a pair passes by its adder."""
    adders = registers = level = 0
    present = [(weight, bits) for weight in range(planes)]  # weight and width
    while len(present) > 1:
        following = []
        for (weight, _), (high_weight, high_width) in zip(present[::2], present[1::2], strict=False):
            adders += high_width + 1
            following.append((weight, high_width + 1 + high_weight - weight))
        following += present[len(present) // 2 * 2 :]
        registers += registered(level) * sum(width for _, width in following)
        present, level = following, level + 1
    return DotCount(adders, registers)
