"""Two ways to build a query-stationary dot product: lookup tables, and plain multipliers as their reference."""

from itertools import product
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import data, memory

from latte_hw.arith import adder_tree
from latte_hw.config import GROUP_SIZE, Dot
from latte_hw.params import TABLE_ENTRIES, multiplier_dot_latency, signed_bits, table_dot_latency
from latte_hw.stationary import StationaryDot, Term, shape_range, store_at
from latte_hw.streams import delayed

LUT_RAM = {"ram_style": "distributed"}
"""Attribute of a table: with many read ports, Yosys's search for a block RAM that fits grows beyond any memory."""

__all__ = ["MultiplierDot", "StationaryDot", "TableDot", "Term", "stationary_dot"]


class MultiplierDot(StationaryDot):
    """The readable reference: one multiplier per element and lane."""

    prepare_cycles = 1

    def term_latency(self, term: Term) -> int:
        return multiplier_dot_latency(self.head_dim)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        free, fill_place, read_place = self.elaborate_places(m, prepared := Signal())
        m.d.comb += prepared.eq(self.i_query.valid & free)
        parts_shape = self.i_query.payload.parts.shape()
        rows = [Signal(parts_shape, name=f"query_{place}") for place in range(2)]
        with m.If(prepared):
            store_at(m, rows, fill_place, self.i_query.payload.parts)
        query = Signal(parts_shape)
        m.d.comb += query.eq(Mux(read_place, Value.cast(rows[1]), Value.cast(rows[0])))
        m.d.comb += self.o.valid.eq(delayed(m, self.i_keys.valid, self.latency, "valid"))
        for (name, term), lane in product(self.terms.items(), range(self.lanes)):
            keys = self.i_keys.payload.terms[name][lane]
            products = []
            for d in range(self.head_dim):
                operands = query[term.query][d] * keys[d]
                register = Signal(operands.shape(), name=f"{name}_{lane}_product_{d}")
                m.d.sync += register.eq(operands)
                products.append((register, False))
            total, levels = adder_tree(m, products, f"{name}_{lane}_sum")
            self.elaborate_result(m, name, lane, total, 1 + levels)
        return m


class TableDot(StationaryDot):
    """Distributed arithmetic: no multiplier at all.

    Dimensions are taken in groups of 4. For every group, a 16-entry table in LUT RAM holds the sums of all subsets of
    the query's 4 elements. One bit plane of a key's 4 elements addresses it; the entries of all groups add up to the
    plane's dot product, and the planes add up with their weights (the sign plane of a signed key is subtracted).

    Filling takes 16 cycles with one adder per table: the addresses follow a Gray code, so that each entry differs
    from the one before by one element.
    """

    prepare_cycles = TABLE_ENTRIES

    def term_latency(self, term: Term) -> int:
        return table_dot_latency(self.head_dim, term.key.width, term.key.signed)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        step = Signal(range(TABLE_ENTRIES))
        free, fill_place, read_place = self.elaborate_places(m, prepared := Signal())
        filling = self.i_query.valid & free
        with m.If(filling):
            m.d.sync += step.eq(step + 1)
        m.d.comb += prepared.eq(filling & (step == TABLE_ENTRIES - 1))

        write_enable = Signal()
        write_address = Signal(range(2 * TABLE_ENTRIES))
        gray = step ^ (step >> 1)
        m.d.sync += [write_enable.eq(filling), write_address.eq(Cat(gray[:GROUP_SIZE], fill_place))]

        tables: dict[tuple[str, int], memory.Memory] = {}
        for (part, shape), group in product(self.queries.items(), range(self.head_dim // GROUP_SIZE)):
            first = group * GROUP_SIZE
            elements = [self.i_query.payload.parts[part][first + i] for i in range(GROUP_SIZE)]
            entry = self._subset_sums(m, step, gray, elements, shape, f"{part}_entry_{group}")
            tables[part, group] = table = memory.Memory(
                shape=entry.shape(), depth=2 * TABLE_ENTRIES, init=[], attrs=LUT_RAM
            )
            m.submodules[f"table_{part}_{group}"] = table
            port = table.write_port()
            m.d.comb += [port.addr.eq(write_address), port.data.eq(entry), port.en.eq(write_enable)]

        m.d.comb += self.o.valid.eq(delayed(m, self.i_keys.valid, self.latency, "valid"))
        for (name, term), lane in product(self.terms.items(), range(self.lanes)):
            keys = Signal(data.ArrayLayout(term.key, self.head_dim), name=f"{name}_{lane}_keys")
            m.d.comb += keys.eq(self.i_keys.payload.terms[name][lane])  # short: Amaranth copies what is sliced
            planes = []
            for bit in range(term.key.width):
                entries = []
                for group in range(self.head_dim // GROUP_SIZE):
                    read_port = tables[term.query, group].read_port(domain="comb")
                    plane = Cat(keys[group * GROUP_SIZE + i][bit] for i in range(GROUP_SIZE))
                    m.d.comb += read_port.addr.eq(Cat(plane, read_place))
                    entry = Signal(read_port.data.shape(), name=f"{name}_{lane}_plane_{bit}_entry_{group}")
                    m.d.sync += entry.eq(read_port.data)
                    entries.append((entry, False))
                total, group_levels = adder_tree(m, entries, f"{name}_{lane}_plane_{bit}_sum")
                planes.append((total << bit, term.key.signed and bit == term.key.width - 1))
            total, plane_levels = adder_tree(m, planes, f"{name}_{lane}_sum")
            self.elaborate_result(m, name, lane, total, 1 + group_levels + plane_levels)
        return m

    def _subset_sums(
        self, m: Module, step: Value, gray: Value, elements: list[Value], shape: Shape, name: str
    ) -> Signal:
        """The entry at address `gray`, one cycle later: the one before, plus or minus the element whose bit flipped."""
        corners = [GROUP_SIZE * corner for corner in shape_range(shape)]
        entry = Signal(signed(signed_bits(min(0, *corners), max(0, *corners))), name=name)
        flipped = Signal(shape, name=f"{name}_element")
        added = Signal(name=f"{name}_added")
        top = GROUP_SIZE - 1
        m.d.comb += [flipped.eq(elements[top]), added.eq(gray[top])]
        for bit in reversed(range(top)):  # step n flips the bit at n's lowest set bit
            with m.If(step[bit]):
                m.d.comb += [flipped.eq(elements[bit]), added.eq(gray[bit])]
        m.d.sync += entry.eq(Mux(step.any(), Mux(added, entry + flipped, entry - flipped), 0))
        return entry


def stationary_dot(kind: Dot, **parameters: Any) -> StationaryDot:
    """The dot product of the chosen kind; see :class:`StationaryDot` for the parameters."""
    return (TableDot if kind is Dot.TABLES else MultiplierDot)(**parameters)
