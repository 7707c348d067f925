"""Query-stationary dot products without a multiplier: tables of the query, read by the bit planes of the keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, memory

from latte_hw.lib.arith import Addend, pairwise_sums, register, weighted_sum
from latte_hw.lib.dot.base import StationaryDot, Term
from latte_hw.lib.streams import FAN_OUT_COPIES, delayed, delayed_data, fan_out
from latte_hw.params import TABLE_READS, TableShape, tree_levels


@dataclass(frozen=True)
class _PackedTable:
    """Query parts that share tables: the entries being written by part and group, and the tables by group and copy."""

    entries: dict[str, list[Addend]]
    tables: dict[tuple[int, int], "_Table"]

    def split(self, read: Value, group: int) -> dict[str, Addend]:
        """Each part's entry, of all that is read from a table."""
        parts, low = {}, 0
        for part, entries in self.entries.items():
            high = low + len(entries[group].value)
            parts[part] = Addend(read[low:high], entries[group].greatest)
            low = high
        return parts


@dataclass(frozen=True)
class _Copy:
    """What all tables of a copy have in common: enable and address of their writes, and the slot that is read."""

    write_enable: Value
    write_address: Value
    read_slot: Value


class _Table:
    """A table of entries that any number of ports may read: equal RAMs of `TABLE_READS` ports each."""

    def __init__(self, m: Module, name: str, depth: int, copy: _Copy, entry: Value) -> None:
        self.m, self.name, self.depth, self.copy, self.entry = m, name, depth, copy, entry
        self.ports: list[memory.ReadPort] = []

    def read_port(self) -> memory.ReadPort:
        """Another port, read in the same cycle."""
        number, used = divmod(len(self.ports), TABLE_READS)
        if not used:
            self.ram = memory.Memory(shape=len(self.entry), depth=self.depth, init=[])
            self.m.submodules[f"{self.name}_{number}"] = self.ram
            write_port = self.ram.write_port()
            self.m.d.comb += [
                write_port.addr.eq(self.copy.write_address),
                write_port.data.eq(self.entry),
                write_port.en.eq(self.copy.write_enable),
            ]
        read_port = self.ram.read_port(domain="comb")
        self.ports.append(read_port)
        return read_port


class DistributedArithmetic(StationaryDot):
    """Distributed arithmetic: `Σ_d q[d]·k[d] = Σ_b ±2^b · Σ_d q[d]·k[d][b]`, the sign plane of a signed key subtracted.

    Dimensions are taken in groups of 3 or 4. For every group, a table in LUT RAM holds the sums of all subsets of the
    query's elements. One bit plane of a key's elements addresses it; the entries of all groups add up to the plane's
    dot product, and the planes add up with their weights. There is a register after every step, or every second one.

    A signed query element is raised by half its range wherever it is used or left out, so that all sums over groups
    are unsigned and spend no bit on signs. With D padded to a power of two by such halves, the raise of a plane is half
    the range of its sum: inverting its top bit takes it away.

    Filling takes one cycle per entry, with a counter's bits as masks of the elements.

    Parameters
    ----------
    tables
        Dimensions of a group, and queries that a table holds.
    """

    def __init__(self, *, tables: TableShape, **parameters: Any) -> None:
        self.tables = tables
        self.slots = tables.slots
        self.prepare_cycles = tables.entries
        super().__init__(**parameters)

    @property
    def groups(self) -> list[range]:
        """Dimensions of every group; the last one may be smaller."""
        size = self.tables.group_dims
        return [range(first, min(first + size, self.head_dim)) for first in range(0, self.head_dim, size)]

    @property
    def copies(self) -> int:
        """Equal tables among which the lanes are divided; where entries have register slices, the bit planes of the
        lanes."""
        return min(FAN_OUT_COPIES, self.lanes * self._readers_per_lane)

    @property
    def _readers_per_lane(self) -> int:
        """What of a lane may read copies of its own: each bit plane of the widest key part, or all of it as one."""
        return max(key.width for key in self.keys.values()) if self.tables.fill_slices else 1

    def copy_of(self, lane: int, plane: int) -> int:
        """The copy that a bit plane of a lane reads."""
        reader = lane * self._readers_per_lane + min(plane, self._readers_per_lane - 1)
        return reader * self.copies // (self.lanes * self._readers_per_lane)

    @property
    def packed(self) -> list[list[str]]:
        """Query parts that share tables: those that meet the same keys, so that one read brings the entries of all."""
        packed_tables: dict[frozenset[str], list[str]] = {}
        for part in self.queries:
            met = frozenset(term.key for term in self.terms.values() if term.query == part)
            packed_tables.setdefault(met, []).append(part)
        return list(packed_tables.values())

    def term_latency(self, term: Term) -> int:
        key = self.keys[term.key]
        return self.tables.dot_latency(self.head_dim, key.width, key.signed)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        left = Signal(self.tables.group_dims, init=self.tables.entries - 1)  # entries to come; inverted, the address
        fill_latency = self.tables.fill_latency
        taken = Signal()
        free, fill_slot, read_slots = self.elaborate_slots(m, taken, fill_latency, divided=self.tables.fill_slices > 0)
        filling = self.i_query.valid & free
        with m.If(filling):
            m.d.sync += left.eq(left - 1)
        # Filling, once begun, goes on: its last cycle is known in the one before, and a wide queue waits for `taken`.
        m.d.sync += taken.eq(filling & (left == 1))
        writing = delayed(m, filling, fill_latency - 1, "writing")
        address = delayed_data(m, Cat(~left, fill_slot), fill_latency - 1, "address")

        # Every read port is a RAM of its own, so the nets of all tables reach across the whole block.
        write_enables = fan_out(m, writing, "write_enable")
        write_addresses = fan_out(m, address, "write_address")
        copies = [_Copy(*nets) for nets in zip(write_enables, write_addresses, read_slots, strict=True)][: self.copies]
        packed_tables = [self._packed_table(m, parts, ~left, copies) for parts in self.packed]

        m.d.comb += self.o.valid.eq(delayed(m, self.i_keys.valid, self.latency, "valid"))
        for packed_table, key, lane in product(packed_tables, self.keys, range(self.lanes)):
            self._multiply(m, packed_table, key, lane, copies)
        return m

    def _packed_table(self, m: Module, parts: list[str], mask: Value, copies: Sequence[_Copy]) -> _PackedTable:
        """Packed tables of query parts, and how they are filled."""
        written = {part: self._entries(m, part, mask) for part in parts}
        tables = {}
        for group in range(len(self.groups)):
            entry = Cat(written[part][group].value for part in parts)
            entries = fan_out(m, entry, f"{parts[0]}_{group}_copy", self.tables.fill_slices)
            for number, (copy, data_in) in enumerate(zip(copies, entries, strict=False)):
                name, depth = f"table_{parts[0]}_{group}_{number}", self.tables.entries * self.slots
                tables[group, number] = _Table(m, name, depth, copy, data_in)
        return _PackedTable(written, tables)

    def _multiply(self, m: Module, packed_table: _PackedTable, key: str, lane: int, copies: Sequence[_Copy]) -> None:
        """The terms of a key part with the query parts of a packed table: every bit plane of the key reads all."""
        terms = {
            name: term for name, term in self.terms.items() if term.key == key and term.query in packed_table.entries
        }
        if not terms:
            return
        shape = self.keys[key]
        keys = Signal(data.ArrayLayout(shape, self.head_dim), name=f"{next(iter(terms))}_{lane}_keys")
        m.d.comb += keys.eq(self.i_keys.payload[key][lane])  # short: Amaranth copies what is sliced
        planes: dict[str, list[list[Addend]]] = {name: [[] for _ in range(shape.width)] for name in terms}
        for bit, (group, dims) in product(range(shape.width), enumerate(self.groups)):
            copy = self.copy_of(lane, bit)
            read_port = packed_table.tables[group, copy].read_port()
            unused = Const(0, self.tables.group_dims - len(dims))
            m.d.comb += read_port.addr.eq(Cat(*(keys[d][bit] for d in dims), unused, copies[copy].read_slot))
            read = packed_table.split(read_port.data, group)
            for name, term in terms.items():
                entry = read[term.query]
                if self.tables.registered(0, self._steps(term)):
                    kept = register(m, entry.value, f"{name}_{lane}_plane_{bit}_entry_{group}")
                    entry = Addend(kept, entry.greatest)
                planes[name][bit].append(entry)
        for name, term in terms.items():
            total = self._total(m, planes[name], term, f"{name}_{lane}")
            self.elaborate_result(m, name, lane, total, self.tables.cycles(self._steps(term)))

    def _entries(self, m: Module, part: str, mask: Value) -> list[Addend]:
        """The entry of every group at the address that `mask` was `fill_latency` cycles ago."""
        shape = self.queries[part]
        subsets = []
        for dims in self.groups:
            elements = []
            for bit, d in zip(mask, dims, strict=False):
                raised = Value.cast(self.i_query.payload.parts[part][d]).as_unsigned() ^ _half(shape)
                element = Signal(shape.width, name=f"{part}_masked_{d}", init=_half(shape), reset_less=True)
                m.d.sync += element.eq(Mux(bit, raised, _half(shape)))  # the mask is the register's reset
                elements.append(Addend(element, 2**shape.width - 1))
            subsets.append(elements)
        for level in range(self.tables.sum_levels):
            subsets = pairwise_sums(m, subsets, f"{part}_subsets_{level}")
        return [subset[0] for subset in subsets]

    def _padding(self, shape: Shape) -> int:
        """What the elements would add to a plane that are missing to the next power of two."""
        return ((1 << tree_levels(self.head_dim)) - self.head_dim) * _half(shape)

    def _steps(self, term: Term) -> int:
        addends = len(self.groups) + bool(self._padding(self.queries[term.query]))
        key = self.keys[term.key]
        return self.tables.dot_steps(addends, key.width, key.signed)

    def _total(self, m: Module, planes: list[list[Addend]], term: Term, name: str) -> Value:
        """The dot product from the entries of every plane; reading them was the first of its steps."""
        shape, steps = self.queries[term.query], self._steps(term)
        levels, padding = tree_levels(self.head_dim), self._padding(shape)
        if padding:
            planes = [[*entries, Addend(Const(padding), padding)] for entries in planes]
        done = 1
        while len(planes[0]) > 1:
            planes = pairwise_sums(m, planes, f"{name}_groups_{done - 1}", self.tables.registered(done, steps))
            done += 1
        totals: list[Value] = [entries[0].value for entries in planes]
        if shape.signed:
            top = shape.width + levels - 1
            padded = [Cat(total, Const(0, top + 1 - len(total))) for total in totals]
            totals = [Cat(total[:top], ~total[top]).as_signed() for total in padded]
        return weighted_sum(
            m,
            totals,
            self.keys[term.key].signed,
            f"{name}_planes",
            lambda further: self.tables.registered(done + further, steps),
        )


def _half(shape: Shape) -> int:
    """What raises a signed element to an unsigned one."""
    return 1 << (shape.width - 1) if shape.signed else 0
