"""The running sums of one query: its weights, and its weighted values group by group."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.core.divider import sums_of_group
from latte_hw.core.payloads import Payloads, slots
from latte_hw.lib.arith import multiplied, register
from latte_hw.lib.names import numbered
from latte_hw.lib.streams import Valid, delayed, delayed_data, divided, fan_out, fork_ready
from latte_hw.params import MULTIPLY, CoreParams


def take_weights(
    m: Module,
    weighted: Any,
    row: Any,
    reads: Sequence[Any],
    free: Value,
    *,
    distance: int,
    room: Value,
    last_group: int,
    ahead: bool,
) -> tuple[Value, Value]:
    """When a weight is taken, and when it is the last of its row.

    A weight is taken when every read of the store in `reads` is, for the value of its key. What the row needs beside
    its weights is taken with the last one, by itself for a job without queries. Row ends keep `distance` cycles apart,
    since the groups of rows are divided one after the other, and wait for `room`. `free` is high when a released
    buffer's values have been read, the last group `last_group` cycles after the first. With `ahead`, that the distance
    is kept is known by a register.
    """
    row_ends = Signal(name="row_ends")
    may_end = _apart(m, row_ends, distance, "cooldown", ahead) & room
    released_empty = row.valid & row.payload.empty
    may_take = weighted.valid & row.valid & ~row.payload.empty & (~weighted.payload.last | may_end)
    taken = fork_ready(m, may_take, [read.request for read in reads])
    m.d.comb += [
        row_ends.eq(taken & weighted.payload.last),
        weighted.ready.eq(taken),
        row.ready.eq(row_ends | released_empty),
        free.eq(delayed(m, (row_ends | released_empty) & row.payload.release, last_group, "free")),
    ]
    return taken, row_ends


class Accumulator(wiring.Component):
    """`Σ prob` and `Σ prob·v[d]` of one row after the other.

    The elements of a value come in groups, `params.division.lanes` at a time, each group `params.division.stagger`
    cycles behind the one before, and so do its weights: the sums of a row are complete in the order and at the pace
    in which the division takes them, so nothing has to hold a whole row. The last product of a row goes into its
    group's result and not into the running sum, which starts again from zero: a row may follow the one before at once.

    Members
    -------
    i
        Weights, in the cycle in which the value's first group is at `value`; `last` ends a row, and `tag` goes with it.
    value
        The values, staggered, as the store reads them. With R = `kept_per_cycle` = 2 there are as many weights in `i`,
        and `value_0` and `value_1`; the products of an element are added before they go into its sum.
    o
        Complete groups, the first of a row `params.latency.accumulator` cycles after its last weight.

    Throughput: R weights per cycle; row ends at least `division_cycles · value_stagger` cycles apart.
    """

    def __init__(self, params: CoreParams, tag: data.StructLayout) -> None:
        self.params = params
        self.kept_per_cycle = params.config.kept_per_cycle
        payloads = Payloads(params)
        self.weights = prob = payloads.weighted_key["prob"].shape
        super().__init__(
            {
                "i": In(Valid(data.StructLayout({"prob": prob, "last": 1, "tag": tag}))),
                **{name: In(payloads.element_row) for name in numbered("value", self.kept_per_cycle)},
                "o": Out(Valid(sums_of_group(params, tag))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params = self.params
        hop = params.pipeline.weight_send
        valid = delayed(m, self.i.valid, hop, "sent_valid")
        last = delayed_data(m, self.i.payload.last, hop, "sent_last")
        prob: Value = Value.cast(self.i.payload.prob)
        lanes, groups, step = params.division.lanes, params.division.cycles, params.division.stagger

        added: list[tuple[Value, Value]] = []  # per group: a product is added, and is the row's last
        complete: list[Value] = []  # per group: its sums are picked
        picked: list[list[Value]] = [[] for _ in range(lanes)]
        for group in range(groups):
            if group:
                valid = delayed(m, valid, step, f"valid_{group}")
                last = delayed_data(m, last, step, f"last_{group}")
                prob = delayed_data(m, prob, step, f"prob_{group}")
            adds = delayed(m, valid, params.latency.products, f"adds_{group}")
            ends = delayed(m, valid & last, params.latency.products, f"ends_{group}")
            added.append((adds, ends))
            complete.append(delayed(m, ends, 1, f"complete_{group}"))
            copies = [
                delayed_data(m, copy, hop - 1, f"prob_{group}_sent_{number}")
                for number, copy in enumerate(fan_out(m, prob, f"prob_{group}_copy", min(hop, 1)))
            ]
            for lane, d in enumerate(range(group * lanes, min((group + 1) * lanes, params.config.head_dim))):
                product = self._product(m, divided(copies, lane, lanes), d)
                picked[lane].append(self._sum(m, product, adds, ends, f"{d}"))

        # The results of all other groups are 0 meanwhile.
        for lane in range(lanes):
            m.d.sync += self.o.payload.sums[lane].eq(_either(picked[lane]))
        total = self._total(m, *added[0])
        m.d.comb += self.o.payload.total.eq(delayed_data(m, total.value, 1, "total_merged"))
        m.d.comb += self.o.payload.tag.eq(delayed_data(m, total.tag, 1, "tag_merged"))
        m.d.sync += [self.o.valid.eq(_either(complete)), self.o.payload.row_end.eq(complete[-1])]
        return m

    def _product(self, m: Module, prob: Value, d: int) -> Value:
        """Of an item's weights and the values' element d; of two, their sum."""
        names = numbered("value", self.kept_per_cycle)
        hop = self.params.pipeline.weight_send
        values = [delayed_data(m, getattr(self, name)[d], hop, f"{name}_{d}_sent") for name in names]
        weights = prob if self.kept_per_cycle == 1 else data.View(self.weights, prob)
        products = [
            multiplied(m, weight, value, name)
            for weight, value, name in zip(
                slots(weights, self.kept_per_cycle), values, numbered(f"product_{d}", self.kept_per_cycle), strict=True
            )
        ]
        return products[0] if self.kept_per_cycle == 1 else register(m, products[0] + products[1], f"products_{d}")

    def _sum(self, m: Module, product: Value, adds: Value, ends: Value, name: str) -> Signal:
        """Adds up products; what a row comes to, in the cycle after its last product and 0 in all others."""
        running = Signal(signed(self.params.widths.accumulator_bits), name=f"sum_{name}")
        result = Signal.like(running, name=f"result_{name}")
        reached = running + product
        with m.If(ends):
            m.d.sync += [running.eq(0), result.eq(reached)]
        with m.Else():
            m.d.sync += result.eq(0)
            with m.If(adds):
                m.d.sync += running.eq(reached)
        return result

    def _total(self, m: Module, adds: Value, ends: Value) -> Any:
        """The weight and the tag of the row whose groups are being added; with the sums of the first group."""
        hop = self.params.pipeline.weight_send
        prob = delayed_data(m, self.i.payload.prob, hop + MULTIPLY, "total_prob")
        if self.kept_per_cycle == 2:
            prob = register(m, prob[0] + prob[1], "total_probs")
        tag = delayed_data(m, self.i.payload.tag, hop + self.params.latency.products, "total_tag")
        running = Signal(unsigned(self.params.widths.prob_sum_bits), name="total_sum")
        layout = data.StructLayout({"value": running.shape(), "tag": self.i.payload.tag.shape()})
        reached = Signal(layout, name="total", reset_less=True)
        with m.If(ends):
            m.d.sync += [
                running.eq(0),
                reached.value.eq(running + prob),
                reached.tag.eq(tag),
            ]
        with m.Elif(adds):
            m.d.sync += running.eq(running + prob)
        return reached


def _either(values: list[Value]) -> Value:
    """Bitwise or of values of one shape."""
    return reduce(or_, (value.as_unsigned() for value in values))


def _apart(m: Module, event: Value, cycles: int, name: str, ahead: bool) -> Value:
    """High when `event` may be: in no cycle from the one after it was to `cycles` − 1 after it; `ahead`, a register."""
    left = Signal(range(cycles + 1), name=name)
    with m.If(event):
        m.d.sync += left.eq(cycles - 1)
    with m.Elif(left.any()):
        m.d.sync += left.eq(left - 1)
    if not ahead:
        return ~left.any()
    over = Signal(init=1, name=f"{name}_over")
    m.d.sync += over.eq(Mux(event, cycles == 1, ~left[1:].any()))
    return over
