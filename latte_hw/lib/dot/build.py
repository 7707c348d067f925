"""Two ways to build a query-stationary dot product: lookup tables, and plain multipliers as their reference."""

from itertools import product
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value

from latte_hw.lib.arith import adder_tree, multiplication, register
from latte_hw.lib.dot.base import StationaryDot, Term, store_at
from latte_hw.lib.dot.distributed import DistributedArithmetic
from latte_hw.lib.streams import delayed
from latte_hw.params import DotTiming, multiplier_dot_latency

__all__ = ["DistributedArithmetic", "MultiplierDot", "StationaryDot", "Term", "stationary_dot"]


class MultiplierDot(StationaryDot):
    """The readable reference: one multiplier per element and lane."""

    prepare_cycles = 1
    slots = 2

    def term_latency(self, term: Term) -> int:
        return multiplier_dot_latency(self.head_dim)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        taken = Signal()
        free, fill_slot, (read_slot, *_) = self.elaborate_slots(m, taken, 0)
        m.d.comb += taken.eq(self.i_query.valid & free)
        parts_shape = self.i_query.payload.parts.shape()
        rows = [Signal(parts_shape, name=f"query_{slot}") for slot in range(2)]
        with m.If(taken):
            store_at(m, rows, fill_slot, self.i_query.payload.parts)
        query = Signal(parts_shape)
        m.d.comb += query.eq(Mux(read_slot, Value.cast(rows[1]), Value.cast(rows[0])))
        m.d.comb += self.o.valid.eq(delayed(m, self.i_keys.valid, self.latency, "valid"))
        for (name, term), lane in product(self.terms.items(), range(self.lanes)):
            keys = self.i_keys.payload[term.key][lane]
            products = []
            for d in range(self.head_dim):
                product_name = f"{name}_{lane}_product_{d}"
                total = multiplication(m, query[term.query][d], keys[d], f"{product_name}_rows")
                products.append((register(m, total, product_name), False))
            total, levels = adder_tree(m, products, f"{name}_{lane}_sum")
            self.elaborate_result(m, name, lane, total, 1 + levels)
        return m


def stationary_dot(timing: DotTiming, **parameters: Any) -> StationaryDot:
    """The dot product of the chosen kind and time; see :class:`StationaryDot` for the other parameters."""
    parameters["key_delay"] = timing.store_latency
    return DistributedArithmetic(tables=timing.tables, **parameters) if timing.tables else MultiplierDot(**parameters)
