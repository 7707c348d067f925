"""Saturation, split and pipelined sums against the golden model and plain integers."""

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.blocks.arith import split
from latte_hw.config import LatteConfig, Split
from latte_hw.lib.arith import (
    Addend,
    adder_tree,
    high_part,
    high_shape,
    low_part,
    low_shape,
    multiplication,
    multiplied,
    pairwise_sums,
    saturate_element,
    weighted_sum,
)
from latte_hw.lib.streams import Valid, delayed, delayed_data
from latte_hw.params import MULTIPLY, HeadParams
from latte_hw.params.dot import tree_levels
from sim.blocks.block_bench import run_block

CONFIGURATIONS = [(bits, kind) for bits in range(2, 9) for kind in Split]
EVERY_ELEMENT = np.arange(-128, 128)


class SplitUnit(wiring.Component):
    """Saturates and splits one element per cycle."""

    def __init__(self, params: HeadParams) -> None:
        self.params = params
        assert Shape.cast(low_shape(params)).width == params.widths.low_bits
        parts = {"saturated": signed(8), "high": high_shape(params), "low": signed(9)}  # so wide that its sign shows
        super().__init__({"i": In(Valid(signed(8))), "o": Out(Valid(data.StructLayout(parts)))})

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        saturated = Signal(signed(8))
        m.d.comb += saturated.eq(saturate_element(self.params, self.i.payload))
        m.d.sync += [
            self.o.valid.eq(self.i.valid),
            self.o.payload.saturated.eq(saturated),
            self.o.payload.high.eq(high_part(self.params, saturated)),
            self.o.payload.low.eq(low_part(self.params, saturated)),
        ]
        return m


def ref_split(elements: np.ndarray, params: HeadParams) -> list[dict[str, int]]:
    saturated = np.minimum(elements, params.widths.quant_max)
    high, low = split(saturated, params)
    return [
        {"saturated": int(x), "high": int(h), "low": int(part)} for x, h, part in zip(saturated, high, low, strict=True)
    ]


def rtl_split(elements: np.ndarray, params: HeadParams) -> list[dict[str, int]]:
    run = run_block(SplitUnit(params), {"i": elements.tolist()}, {"o": len(elements)})
    return run.outputs["o"]


@pytest.mark.parametrize(("msb_bits", "kind"), CONFIGURATIONS)
def test_saturation_and_split_of_every_element(msb_bits, kind):
    params = HeadParams(LatteConfig(msb_bits=msb_bits, split=kind))
    assert rtl_split(EVERY_ELEMENT, params) == ref_split(EVERY_ELEMENT, params)


@pytest.mark.parametrize(("msb_bits", "kind"), CONFIGURATIONS)
def test_parts_make_the_saturated_element_and_reach_their_ranges(msb_bits, kind):
    params = HeadParams(LatteConfig(msb_bits=msb_bits, split=kind))
    parts = rtl_split(EVERY_ELEMENT, params)
    for x, part in zip(EVERY_ELEMENT.tolist(), parts, strict=True):
        assert (
            part["saturated"]
            == min(x, params.widths.quant_max)
            == (part["high"] << params.widths.low_bits) + part["low"]
        )
    for name, limits in (("high", params.widths.high_range), ("low", params.widths.low_range)):
        assert (min(part[name] for part in parts), max(part[name] for part in parts)) == limits


class Sum(wiring.Component):
    """Terms of one shape through an adder tree; `negative` says which are subtracted."""

    def __init__(self, negative: list[bool], shape: Any) -> None:
        self.negative = negative
        layout = data.ArrayLayout(shape, len(negative))
        super().__init__({"i": In(Valid(layout)), "o": Out(Valid(signed(20)))})
        self.latency = tree_levels(len(negative)) + all(negative)

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        terms = [(Value.cast(self.i.payload[index]), sign) for index, sign in enumerate(self.negative)]
        total, self.reported_latency = adder_tree(m, terms, "sum")
        m.d.comb += self.o.valid.eq(delayed(m, self.i.valid, self.latency, "valid"))
        m.d.comb += self.o.payload.eq(total)
        m.d.sync += Signal(name="clocked").eq(1)  # a single term has no register
        return m


@settings(max_examples=60, deadline=None)
@given(
    negative=st.lists(st.booleans(), min_size=1, max_size=19),
    shape=st.sampled_from([signed(5), unsigned(4), signed(1), unsigned(1)]),
    seed=st.integers(0, 2**32 - 1),
)
def test_adder_tree(negative, shape, seed):
    least, greatest = (
        (-(2 ** (shape.width - 1)), 2 ** (shape.width - 1) - 1) if shape.signed else (0, 2**shape.width - 1)
    )
    terms = np.random.default_rng(seed).integers(least, greatest, (6, len(negative)), endpoint=True)
    terms[0], terms[1] = least, greatest
    terms[2], terms[3] = np.where(negative, least, greatest), np.where(negative, greatest, least)
    block = Sum(negative, shape)
    run = run_block(block, {"i": terms.tolist()}, {"o": len(terms)})
    assert run.outputs["o"] == (terms @ np.where(negative, -1, 1)).tolist()
    assert run.cycles["o"] == [cycle + block.latency for cycle in run.cycles["i"]]
    assert block.reported_latency == block.latency


class Planes(wiring.Component):
    """Lists of unsigned numbers, each summed up by pairs, and the sums by their weights."""

    def __init__(self, planes: int, addends: int, greatest: int, last_negative: bool, top_flipped: bool) -> None:
        self.greatest, self.last_negative, self.top_flipped = greatest, last_negative, top_flipped
        layout = data.ArrayLayout(data.ArrayLayout(unsigned(greatest.bit_length()), addends), planes)
        super().__init__({"i": In(Valid(layout)), "o": Out(Valid(signed(24)))})
        self.latency = tree_levels(addends) + tree_levels(planes) + (planes == 1 and last_negative)

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        planes = [[Addend(Value.cast(x), self.greatest) for x in plane] for plane in self.i.payload]
        while len(planes[0]) > 1:
            planes = pairwise_sums(m, planes, f"sums_of_{len(planes[0])}")
        self.greatest_sum = planes[0][0].greatest
        totals = [plane[0].value.as_signed() if self.top_flipped else plane[0].value for plane in planes]
        total = weighted_sum(m, totals, self.last_negative, "planes", lambda _: True)
        m.d.comb += self.o.valid.eq(delayed(m, self.i.valid, self.latency, "valid"))
        m.d.comb += self.o.payload.eq(total)
        m.d.sync += Signal(name="clocked").eq(1)  # a single number has no register
        return m


@settings(max_examples=60, deadline=None)
@given(
    planes=st.integers(1, 8),
    addends=st.integers(1, 7),
    greatest=st.integers(1, 60),
    last_negative=st.booleans(),
    top_flipped=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_sums_of_bit_planes(planes, addends, greatest, last_negative, top_flipped, seed):
    x = np.random.default_rng(seed).integers(0, greatest, (4, planes, addends), endpoint=True)
    x[0], x[1] = 0, greatest
    block = Planes(planes, addends, greatest, last_negative, top_flipped)
    run = run_block(block, {"i": x.tolist()}, {"o": len(x)})
    assert block.greatest_sum == greatest * addends
    half = 1 << ((greatest * addends).bit_length() - 1)
    sums = x.sum(axis=2)
    sums = (sums ^ half) - half if top_flipped else sums  # two's complement
    weights = 2 ** np.arange(planes) * np.where(np.arange(planes) == planes - 1, -1 if last_negative else 1, 1)
    assert run.outputs["o"] == (sums @ weights).tolist()
    assert run.cycles["o"] == [cycle + block.latency for cycle in run.cycles["i"]]


class Multiplier(wiring.Component):
    """Products of two operands, combinational and `MULTIPLY` cycles later."""

    def __init__(self, first: Shape, second: Shape) -> None:
        total = signed(first.width + second.width + 1)
        super().__init__(
            {
                "i": In(Valid(data.StructLayout({"first": first, "second": second}))),
                "o": Out(Valid(data.StructLayout({"at_once": total, "later": total}))),
            }
        )

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        operands = self.i.payload.first, self.i.payload.second
        at_once = delayed_data(m, multiplication(m, *operands, "at_once"), MULTIPLY, "at_once_later")
        m.d.comb += [
            self.o.valid.eq(delayed(m, self.i.valid, MULTIPLY, "valid")),
            self.o.payload.at_once.eq(at_once),
            self.o.payload.later.eq(multiplied(m, *operands, "later")),
        ]
        return m


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (unsigned(1), unsigned(16)),
        (unsigned(16), unsigned(2)),
        (unsigned(5), unsigned(16)),
        (unsigned(5), signed(8)),
        (signed(4), signed(4)),
        (signed(4), unsigned(4)),
        (signed(2), signed(6)),
        (signed(3), unsigned(8)),
        (unsigned(6), unsigned(6)),
        (unsigned(8), signed(8)),
    ],
    ids=str,
)
def test_products_whatever_they_are_made_of(first: Shape, second: Shape):
    ranges = [
        range(*((-(1 << s.width - 1), 1 << s.width - 1) if s.signed else (0, 1 << s.width))) for s in (first, second)
    ]
    generator = np.random.default_rng(0)
    pairs = [(a, b) for a in (ranges[0][0], ranges[0][-1]) for b in (ranges[1][0], ranges[1][-1])]
    pairs += [tuple(int(generator.choice(values)) for values in ranges) for _ in range(200)]
    run = run_block(Multiplier(first, second), {"i": [{"first": a, "second": b} for a, b in pairs]}, {"o": len(pairs)})
    assert run.outputs["o"] == [{"at_once": a * b, "later": a * b} for a, b in pairs]
