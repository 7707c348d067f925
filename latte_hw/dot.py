"""Dot products in which the query stands still while keys pass, built in two ways behind one interface."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Shape, ShapeLike, Signal, Value, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.arith import adder_tree
from latte_hw.config import GROUP_SIZE, Dot
from latte_hw.params import TABLE_ENTRIES, multiplier_dot_latency, signed_bits, table_dot_latency
from latte_hw.streams import Valid, delayed


@dataclass(frozen=True)
class Term:
    """One dot product: the query part of that name against a key part of that shape."""

    query: str
    key: Shape


def shape_range(shape: Shape) -> tuple[int, int]:
    """Least and greatest value of a shape."""
    if shape.signed:
        return -(2 ** (shape.width - 1)), 2 ** (shape.width - 1) - 1
    return 0, 2**shape.width - 1


def store_at(m: Module, registers: list[Any], place: Value, value: Any) -> None:
    """Write one of two registers in the present condition."""
    with m.If(place):
        m.d.sync += registers[1].eq(value)
    with m.Else():
        m.d.sync += registers[0].eq(value)


class StationaryDot(wiring.Component):
    """`lanes` keys per cycle against a stationary query: `term[lane] = Σ_d query[term.query][d] · key[term][lane][d]`.

    The next query is prepared while keys of the present one pass; two queries are held at a time.

    Parameters
    ----------
    head_dim
        Elements of a query or key.
    queries
        Query parts by name, and the shape of their elements.
    terms
        Dot products by name.
    lanes
        Keys per cycle.
    tag_shape
        Whatever travels with a query.

    Members
    -------
    i_query
        A query: `parts.<name>` and its `tag`. Taken when it is prepared: `prepare_cycles` after it is offered, if one
        of the two places is free. The payload must be stable meanwhile, as in every stream.
    o_prepared
        Tag of the oldest prepared query whose keys are not all on their way yet. The transfer announces that its last
        key has been sent.
    i_keys
        Keys for the oldest query; `last` gives its place free. No back-pressure: only the holder of a prepared
        query may send.
    o
        The dot products, exact, `latency` cycles after `i_keys`.
    """

    prepare_cycles: int

    def __init__(
        self,
        *,
        head_dim: int,
        queries: Mapping[str, Shape],
        terms: Mapping[str, Term],
        lanes: int,
        tag_shape: ShapeLike,
    ) -> None:
        self.head_dim = head_dim
        self.queries = dict(queries)
        self.terms = dict(terms)
        self.lanes = lanes
        self.tag_shape = tag_shape
        parts = data.StructLayout({name: data.ArrayLayout(shape, head_dim) for name, shape in self.queries.items()})
        keys = data.StructLayout(
            {name: data.ArrayLayout(data.ArrayLayout(t.key, head_dim), lanes) for name, t in self.terms.items()}
        )
        results = data.StructLayout({name: data.ArrayLayout(self.result_shape(name), lanes) for name in self.terms})
        super().__init__(
            {
                "i_query": In(stream.Signature(data.StructLayout({"parts": parts, "tag": tag_shape}))),
                "o_prepared": Out(stream.Signature(tag_shape)),
                "i_keys": In(Valid(data.StructLayout({"terms": keys, "last": 1}))),
                "o": Out(Valid(results)),
            }
        )

    def result_shape(self, term: str) -> Shape:
        """Shape that holds every result of a term."""
        key = self.terms[term].key
        query = self.queries[self.terms[term].query]
        corners = [self.head_dim * q * k for q, k in product(shape_range(query), shape_range(key))]
        return signed(signed_bits(min(corners), max(corners)))

    @property
    def latency(self) -> int:
        """Cycles from `i_keys` to `o`."""
        return max(self.term_latency(term) for term in self.terms.values())

    def term_latency(self, term: Term) -> int:
        raise NotImplementedError

    def elaborate_places(self, m: Module, prepared: Value) -> tuple[Value, Value, Value]:
        """Bookkeeping of the two places: `prepared` is high when the offered query is completely in place.

        Returns (a place is free, the place being filled, the place being read).
        """
        held = Signal(range(3))
        waiting = Signal(range(3))
        fill_place, take_place, read_place = Signal(), Signal(), Signal()
        tags = [Signal(self.tag_shape, name=f"tag_{place}") for place in range(2)]
        taken = self.o_prepared.valid & self.o_prepared.ready
        released = self.i_keys.valid & self.i_keys.payload.last
        m.d.comb += [
            self.i_query.ready.eq(prepared),
            self.o_prepared.valid.eq(waiting != 0),
            Value.cast(self.o_prepared.payload).eq(Mux(take_place, Value.cast(tags[1]), Value.cast(tags[0]))),
        ]
        m.d.sync += [held.eq(held + prepared - released), waiting.eq(waiting + prepared - taken)]
        with m.If(prepared):
            m.d.sync += fill_place.eq(~fill_place)
            store_at(m, tags, fill_place, self.i_query.payload.tag)
        with m.If(taken):
            m.d.sync += take_place.eq(~take_place)
        with m.If(released):
            m.d.sync += read_place.eq(~read_place)
        return held != 2, fill_place, read_place

    def elaborate_result(self, m: Module, term: str, lane: int, value: Value, latency: int) -> None:
        """Put one dot product, `latency` cycles old, on the output, as late as the slowest term."""
        m.d.comb += self.o.payload[term][lane].eq(delayed(m, value, self.latency - latency, f"{term}_{lane}_delayed"))


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
            tables[part, group] = table = memory.Memory(shape=entry.shape(), depth=2 * TABLE_ENTRIES, init=[])
            m.submodules[f"table_{part}_{group}"] = table
            port = table.write_port()
            m.d.comb += [port.addr.eq(write_address), port.data.eq(entry), port.en.eq(write_enable)]

        m.d.comb += self.o.valid.eq(delayed(m, self.i_keys.valid, self.latency, "valid"))
        for (name, term), lane in product(self.terms.items(), range(self.lanes)):
            keys = self.i_keys.payload.terms[name][lane]
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
