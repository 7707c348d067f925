"""Tables and latencies of the dot products, whatever head they are part of."""

from dataclasses import dataclass, replace

from latte_hw.config import Dot, DotChoice
from latte_hw.params.widths import ceil_div

TABLE_READS = 3
"""Read ports of a table, as many as 7 series' RAM32M has beside its write port; what reads more is divided among equal
tables. On other families each read port is a RAM of its own in any case, and the time of Yosys's choice grows
exponentially with their number."""


def tree_levels(terms: int) -> int:
    """Levels of a tree of pairs: ⌈log2(terms)⌉."""
    return (terms - 1).bit_length()


@dataclass(frozen=True)
class TableShape:
    """Lookup tables of a query-stationary dot product."""

    group_dims: int
    """Dimensions that share one table."""

    slots: int
    """Queries that a table holds. With 2, the next query is filled in while keys of the present one pass."""

    steps_per_cycle: int = 1
    """Steps of a dot product, reading the table or adding pairs, from one register to the next."""

    fill_slices: int = 0
    """Register slices between an entry and its tables; the last one is its copy of the table's own."""

    @property
    def entries(self) -> int:
        """Entries per query, and the cycles that filling them takes."""
        return 2**self.group_dims

    @property
    def fill_latency(self) -> int:
        """Cycles from an address to its entry: masked elements, their sum, slices. It is written in the next one."""
        return 1 + self.sum_levels + self.fill_slices

    @property
    def sum_levels(self) -> int:
        """Levels of the sum of a group's elements."""
        return tree_levels(self.group_dims)

    def dot_latency(self, head_dim: int, key_bits: int, key_signed: bool) -> int:
        """Cycles of a dot product: its steps, `steps_per_cycle` at a time.

        A head_dim that is no power of two takes one more addend beside the groups.
        """
        addends = ceil_div(head_dim, self.group_dims) + (head_dim != 1 << tree_levels(head_dim))
        return self.cycles(self.dot_steps(addends, key_bits, key_signed))

    def cycles(self, steps: int) -> int:
        """Cycles that so many steps take."""
        return ceil_div(steps, self.steps_per_cycle)

    def dot_steps(self, addends: int, key_bits: int, key_signed: bool) -> int:
        """Steps of a dot product: table read, sums over groups and bit planes, negation of a single sign plane."""
        return 1 + tree_levels(addends) + tree_levels(key_bits) + (key_bits == 1 and key_signed)

    def registered(self, step: int, steps: int) -> bool:
        """Whether a register follows a step of so many; one always follows the last."""
        return (step + 1) % self.steps_per_cycle == 0 or step == steps - 1


def table_shape(choice: DotChoice) -> TableShape | None:
    """Tables of a kind of dot product; multipliers have none."""
    if choice.dot is Dot.MULTIPLIERS:
        return None
    return TableShape(choice.table_dims, choice.table_queries, choice.adders_per_register)


def multiplier_dot_latency(head_dim: int) -> int:
    """Cycles of a multiplier dot product: products, sum over dimensions."""
    return 1 + tree_levels(head_dim)


@dataclass(frozen=True)
class DotTiming:
    """What it takes to prepare queries for dot products of a kind, whose keys come from the store."""

    kind: DotChoice
    store_latency: int
    fill_slices: int = 0
    """Registers between the adders that make a table's entries and the tables. No cycle is lost as long as filling
    overlaps reading the store."""

    @property
    def tables(self) -> TableShape | None:
        shape = table_shape(self.kind)
        return replace(shape, fill_slices=self.fill_slices) if shape else None

    @property
    def prepare_cycles(self) -> int:
        """Cycles to prepare a query, overlapped with the one before (F)."""
        return self.tables.entries if self.tables else 1

    @property
    def slots(self) -> int:
        """Queries that are prepared and held at a time."""
        return self.tables.slots if self.tables else 2

    @property
    def fill_latency(self) -> int:
        """From taking a query to its last entry before its table."""
        return self.tables.fill_latency if self.tables else 0

    @property
    def prepared_latency(self) -> int:
        """From taking a query to sending for its first key, less one: filling may end as late as the key comes."""
        return max(0, self.fill_latency - self.store_latency)

    @property
    def kept_back(self) -> int:
        """Cycles after sending for a query's last key before its slot may be filled anew: that key must have come."""
        return max(0, self.store_latency - 1 - self.fill_latency)

    @property
    def refill_cycles(self) -> int:
        """From sending for a query's last key to sending for the first of the next query in its slot.

        Filling overlaps reading the store: it changes a slot after the last key has come, and ends before the first.
        """
        return self.prepare_cycles + self.prepared_latency + self.kept_back

    @property
    def query_gap(self) -> int:
        """Idle cycles between two queries, however many keys they have; with two slots none."""
        return 0 if self.slots == 2 else self.refill_cycles

    @property
    def gapless_beats(self) -> int:
        """With two slots: beats of a query that hide the preparation of the query after the next one. A scan takes a
        cycle to begin."""
        return self.refill_cycles + 1

    @property
    def scan_gap(self) -> int:
        """Idle cycles between two scans, however long they are; with two slots none."""
        return self.query_gap + (self.slots == 1)

    def latency(self, head_dim: int, key_bits: int, key_signed: bool) -> int:
        """Cycles of a dot product."""
        if self.tables:
            return self.tables.dot_latency(head_dim, key_bits, key_signed)
        return multiplier_dot_latency(head_dim)
