"""Dot products in which the query stands still while keys pass: their interface, and the bookkeeping of two queries."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from amaranth.hdl import Module, Mux, Shape, ShapeLike, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.lib.streams import Valid, delayed, delayed_data, fan_out
from latte_hw.params import FAN_OUT_COPIES, signed_bits


@dataclass(frozen=True)
class Term:
    """One dot product: the query part against the key part of these names."""

    query: str
    key: str


def shape_range(shape: Shape) -> tuple[int, int]:
    """Least and greatest value of a shape."""
    if shape.signed:
        return -(2 ** (shape.width - 1)), 2 ** (shape.width - 1) - 1
    return 0, 2**shape.width - 1


def store_at(m: Module, registers: list[Any], index: Value, value: Any) -> None:
    """Write one of two registers, or the only one, in the present condition."""
    with m.If(index):
        m.d.sync += registers[-1].eq(value)
    with m.Else():
        m.d.sync += registers[0].eq(value)


class StationaryDot(wiring.Component):
    """`lanes` keys per cycle against stationary queries: `o[t][lane] = Σ_d query[t.query][d] · key[t.key][lane][d]`.

    With two `slots`, the next query is prepared while keys of the present one pass; with one, when they have passed.

    Parameters
    ----------
    head_dim
        Elements of a query or key.
    queries
        Query parts by name, and the shape of their elements. They may be of one query or of several that stand still
        together.
    keys
        Key parts by name, and the shape of their elements.
    terms
        Dot products by name.
    lanes
        Keys per cycle.
    tag_shape
        Whatever travels with a query.
    key_delay
        Cycles from sending for a key until it is on `i_keys`. Preparing a query overlaps it.

    Members
    -------
    i_query
        A query: `parts.<name>` and its `tag`. Taken `prepare_cycles` after it is offered, if a slot is free. The
        payload must be stable meanwhile, as in every stream.
    o_prepared
        Tag of the oldest prepared query that has not been transferred yet: from now on its keys may be sent for.
    i_last
        High in the cycle in which the last key of the oldest query is sent for: its slot will be free in time.
    i_keys
        Keys for the oldest query, `key_delay` cycles after they were sent for. No back-pressure: only the holder of a
        prepared query may send.
    o
        The dot products, exact, `latency` cycles after `i_keys`.
    """

    prepare_cycles: int
    slots: int

    def __init__(
        self,
        *,
        head_dim: int,
        queries: Mapping[str, Shape],
        keys: Mapping[str, Shape],
        terms: Mapping[str, Term],
        lanes: int,
        tag_shape: ShapeLike,
        key_delay: int = 0,
    ) -> None:
        self.head_dim = head_dim
        self.queries = dict(queries)
        self.keys = dict(keys)
        self.terms = dict(terms)
        self.lanes = lanes
        self.tag_shape = tag_shape
        self.key_delay = key_delay
        query_parts = {name: data.ArrayLayout(shape, head_dim) for name, shape in self.queries.items()}
        key_parts = {
            name: data.ArrayLayout(data.ArrayLayout(shape, head_dim), lanes) for name, shape in self.keys.items()
        }
        results = data.StructLayout({name: data.ArrayLayout(self.result_shape(name), lanes) for name in self.terms})
        super().__init__(
            {
                "i_query": In(
                    stream.Signature(data.StructLayout({"parts": data.StructLayout(query_parts), "tag": tag_shape}))
                ),
                "o_prepared": Out(stream.Signature(tag_shape)),
                "i_last": In(1),
                "i_keys": In(Valid(data.StructLayout(key_parts))),
                "o": Out(Valid(results)),
            }
        )

    def result_shape(self, term: str) -> Shape:
        """Shape that holds every result of a term."""
        query, key = self.queries[self.terms[term].query], self.keys[self.terms[term].key]
        corners = [self.head_dim * q * k for q, k in product(shape_range(query), shape_range(key))]
        return signed(signed_bits(min(corners), max(corners)))

    @property
    def latency(self) -> int:
        """Cycles from `i_keys` to `o`."""
        return max(self.term_latency(term) for term in self.terms.values())

    def term_latency(self, term: Term) -> int:
        raise NotImplementedError

    def elaborate_slots(
        self, m: Module, taken: Value, fill_latency: int, *, divided: bool = False
    ) -> tuple[Value, Value, list[Signal]]:
        """Bookkeeping of the slots: `taken` is high when the offered query has been read completely; it is in its slot
        `fill_latency` cycles later. A slot changes no sooner than so many cycles after it began to be filled.

        Returns (a slot is free, the slot being filled, the slot being read, `FAN_OUT_COPIES` times); the number of a
        slot has no bits if there is one. That of the slot being read is `divided` among as many registers, or one.
        """
        held = Signal(range(self.slots + 1))
        waiting = Signal(range(self.slots + 1))
        fill_slot, take_slot, read_slot = (Signal(self.slots - 1, name=f"{n}_slot") for n in ("fill", "take", "read"))
        tags = [Signal(self.tag_shape, name=f"tag_{slot}") for slot in range(self.slots)]
        prepared = delayed(m, taken, max(0, fill_latency - self.key_delay), "prepared")
        sent = self.o_prepared.valid & self.o_prepared.ready
        released = delayed(m, self.i_last, max(0, self.key_delay - 1 - fill_latency), "released")
        passed = delayed(m, self.i_last, self.key_delay, "passed")
        m.d.comb += [
            self.i_query.ready.eq(taken),
            self.o_prepared.valid.eq(waiting != 0),
            Value.cast(self.o_prepared.payload).eq(Mux(take_slot, Value.cast(tags[-1]), Value.cast(tags[0]))),
        ]
        m.d.sync += [
            held.eq(held + taken - released),
            waiting.eq(waiting + prepared - sent),
        ]
        with m.If(taken):
            m.d.sync += fill_slot.eq(~fill_slot)
            store_at(m, tags, fill_slot, self.i_query.payload.tag)
        with m.If(sent):
            m.d.sync += take_slot.eq(~take_slot)
        with m.If(passed):
            m.d.sync += read_slot.eq(~read_slot)
        read_slots = fan_out(m, read_slot ^ passed, "read_slot") if divided else [read_slot] * FAN_OUT_COPIES
        return held != self.slots, fill_slot, read_slots

    def elaborate_result(self, m: Module, term: str, lane: int, value: Value, latency: int) -> None:
        """Put one dot product, `latency` cycles old, on the output, as late as the slowest term."""
        m.d.comb += self.o.payload[term][lane].eq(
            delayed_data(m, value, self.latency - latency, f"{term}_{lane}_delayed")
        )
