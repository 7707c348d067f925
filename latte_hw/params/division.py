"""How the sums of a row are divided: elements per cycle, and the pace at which their groups come."""

from dataclasses import dataclass

from latte_hw.params.widths import ceil_div

DIVISION_CYCLES = 16
"""Cycles that division may take for each row, however few keys it has."""


@dataclass(frozen=True)
class Division:
    """The elements of an output row come to the divider in groups, one group of it after the other."""

    head_dim: int

    lanes: int
    """Elements of a group, divided at the same time."""

    stagger: int = 1
    """Cycles from one group of a value's elements to the next: rows that take turns in a divider."""

    @property
    def cycles(self) -> int:
        """Groups of a row, and the least distance of two rows in a divider."""
        return ceil_div(self.head_dim, self.lanes)

    @property
    def last_group(self) -> int:
        """Cycles from a value's first group of elements to its last."""
        return (self.cycles - 1) * self.stagger


def quick_lanes(head_dim: int) -> int:
    """Lanes that keep up with rows `DIVISION_CYCLES` apart."""
    return ceil_div(head_dim, DIVISION_CYCLES)
