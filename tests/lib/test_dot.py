"""Both stationary dot products against plain integer arithmetic and against each other."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Fragment, Module, Shape, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from latte_hw.config import Dot, DotChoice
from latte_hw.config.dot import DOT_CHOICES, TABLE_CHOICES
from latte_hw.lib.dot.base import shape_range
from latte_hw.lib.dot.build import MultiplierDot, StationaryDot, Term, stationary_dot
from latte_hw.lib.streams import Valid, delayed
from latte_hw.params import DotTiming, multiplier_dot_latency, table_shape
from sim.blocks.block_bench import BlockRun, run_block
from sim.lib.streams import Flow

TAG_BITS = 6
MULTIPLIERS = DotChoice(Dot.MULTIPLIERS)
PREPARE_CYCLES = {kind: table_shape(kind).entries for kind in TABLE_CHOICES}
PREPARE_CYCLES[MULTIPLIERS] = MultiplierDot.prepare_cycles
TWO_SLOTS = [kind for kind in DOT_CHOICES if kind.table_queries == 2]


@dataclass(frozen=True)
class Variant:
    """Shape of a dot product: query parts and key parts, their shapes, and names of the parts of every term."""

    head_dim: int
    lanes: int
    queries: tuple[tuple[str, Shape], ...]
    keys: tuple[tuple[str, Shape], ...]
    terms: tuple[tuple[str, str, str], ...]
    key_delay: int = 0
    fill_slices: int = 0

    def timing(self, kind: DotChoice) -> DotTiming:
        return DotTiming(kind, self.key_delay, self.fill_slices)

    def dot(self, kind: DotChoice) -> StationaryDot:
        return stationary_dot(self.timing(kind), **self.parameters())

    def parameters(self) -> dict[str, Any]:
        return {
            "head_dim": self.head_dim,
            "lanes": self.lanes,
            "queries": dict(self.queries),
            "keys": dict(self.keys),
            "terms": {name: Term(part, key) for name, part, key in self.terms},
            "tag_shape": TAG_BITS,
        }


H4, L4, U4 = ("high", signed(4)), ("low", signed(4)), ("low", unsigned(4))
K4 = (("k", signed(4)),)
VARIANTS = {
    "one group pair": Variant(8, 1, (H4,), K4, (("t", "high", "k"),)),
    "three groups": Variant(12, 4, (H4,), K4, (("t", "high", "k"),)),
    "five groups": Variant(20, 1, (("low", unsigned(3)),), (("k", unsigned(5)),), (("t", "low", "k"),)),
    "full size": Variant(64, 1, (H4,), K4, (("t", "high", "k"),)),
    "one-bit signed key": Variant(8, 4, (("high", signed(7)),), (("k", signed(1)),), (("t", "high", "k"),)),
    "one-bit unsigned key": Variant(12, 1, (("high", signed(7)),), (("k", unsigned(1)),), (("t", "high", "k"),)),
    "one-bit query": Variant(8, 1, (("low", signed(1)),), (("k", signed(7)),), (("t", "low", "k"),)),
    "shared query part": Variant(
        12, 1, (H4, U4), (H4, U4), (("high_low", "high", "low"), ("low_high", "low", "high"), ("low_low", "low", "low"))
    ),
    "three packed queries": Variant(
        20, 5, tuple((f"q{number}", signed(4)) for number in range(3)), K4,
        tuple((f"t{number}", f"q{number}", "k") for number in range(3)),
    ),
    "unlike parts packed": Variant(
        12, 2, (H4, U4, ("wide", signed(7))), K4, (("a", "high", "k"), ("b", "low", "k"), ("c", "wide", "k"))
    ),
    "keys come later": Variant(12, 2, (H4,), K4, (("t", "high", "k"),), key_delay=2),
    "keys come as late as entries": Variant(12, 2, (H4,), K4, (("t", "high", "k"),), key_delay=3),
    "keys come last": Variant(12, 2, (H4,), K4, (("t", "high", "k"),), key_delay=7),
    "sliced entries to lanes": Variant(
        20, 6, (("q0", signed(4)), ("q1", signed(4))), K4, (("t0", "q0", "k"), ("t1", "q1", "k")), 4, fill_slices=1
    ),
    "sliced entries to bit planes": Variant(
        12, 1, (("q0", signed(8)), ("q1", signed(8))), (("k", signed(8)),), (("t0", "q0", "k"), ("t1", "q1", "k")), 1,
        fill_slices=1,
    ),
    "terms of unequal latency": Variant(
        8, 4, (("high", signed(7)), ("low", signed(1))), (("high", signed(7)), ("low", signed(1))),
        (("high_low", "high", "low"), ("low_high", "low", "high"), ("low_low", "low", "low")),
    ),
}  # fmt: skip


class Holder(wiring.Component):
    """Feeds a dot product as its user must: keys of the oldest prepared query only; `o_tag` takes its last key."""

    def __init__(self, dot: StationaryDot) -> None:
        self.dot = dot
        super().__init__(
            {
                "i_query": In(stream.Signature(dot.i_query.payload.shape())),
                "i_keys": In(stream.Signature(data.StructLayout({"parts": dot.i_keys.payload.shape(), "last": 1}))),
                "o_tag": Out(stream.Signature(dot.tag_shape)),
                "o": Out(Valid(dot.o.payload.shape())),
            }
        )

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        m.submodules.dot = dot = self.dot
        last = self.i_keys.payload.last
        sent = self.i_keys.valid & self.i_keys.ready
        m.d.comb += [
            self.i_keys.ready.eq(dot.o_prepared.valid & (~last | self.o_tag.ready)),
            self.o_tag.valid.eq(self.i_keys.valid & dot.o_prepared.valid & last),
            self.o_tag.payload.eq(dot.o_prepared.payload),
            dot.i_keys.valid.eq(delayed(m, sent, dot.key_delay, "sent")),
            dot.i_keys.payload.eq(delayed(m, self.i_keys.payload.parts, dot.key_delay, "keys")),
            dot.o_prepared.ready.eq(sent & last),
            dot.i_last.eq(sent & last),
        ]
        wiring.connect(m, wiring.flipped(self.i_query), dot.i_query)
        wiring.connect(m, dot.o, wiring.flipped(self.o))
        return m


@dataclass(frozen=True)
class Data:
    """Query parts (queries, D) by name; for every query, key parts (beats, lanes, D) by name."""

    queries: dict[str, NDArray[np.int64]]
    keys: list[dict[str, NDArray[np.int64]]]


def draw(variant: Variant, beats: list[int], seed: int) -> Data:
    """Random elements; the first query and the first beat hold least values, the next ones greatest."""
    rng = np.random.default_rng(seed)

    def elements(shape: Shape, *size: int) -> NDArray[np.int64]:
        least, greatest = shape_range(shape)
        x = rng.integers(least, greatest, size, endpoint=True)
        x[:1], x[1:2] = least, greatest
        return x

    queries = {name: elements(shape, len(beats), variant.head_dim) for name, shape in variant.queries}
    keys = [
        {name: elements(shape, count, variant.lanes, variant.head_dim) for name, shape in variant.keys}
        for count in beats
    ]
    return Data(queries, keys)


def ref_dot(data: Data, variant: Variant) -> list[dict[str, list[int]]]:
    results = []
    for query, keys in enumerate(data.keys):
        sums = {name: keys[key] @ data.queries[part][query] for name, part, key in variant.terms}  # (beats, lanes)
        beats = len(next(iter(keys.values())))
        results += [{name: total[beat].tolist() for name, total in sums.items()} for beat in range(beats)]
    return results


def rtl_dot(data: Data, kind: DotChoice, name: str, flow: str = Flow.FREE, seed: int = 0) -> BlockRun:
    queries = [
        {"parts": {part: rows[index].tolist() for part, rows in data.queries.items()}, "tag": index}
        for index in range(len(data.keys))
    ]
    keys = []
    for parts in data.keys:
        beats = len(next(iter(parts.values())))
        keys += [
            {"parts": {part: x[beat].tolist() for part, x in parts.items()}, "last": int(beat == beats - 1)}
            for beat in range(beats)
        ]
    expected = {"o_tag": len(queries), "o": len(keys)}
    holder = Holder(VARIANTS[name].dot(kind))
    run = run_block(holder, {"i_query": queries, "i_keys": keys}, expected, flow=flow, seed=seed)
    latency = holder.dot.key_delay + holder.dot.latency
    assert run.cycles["o"] == [cycle + latency for cycle in run.cycles["i_keys"]]
    return run


@pytest.mark.parametrize("name", VARIANTS)
def test_against_plain_integers_and_each_other(name):
    data = draw(VARIANTS[name], [3, 1, 5, 1, 1], seed=4)
    runs = [rtl_dot(data, kind, name) for kind in DOT_CHOICES]
    assert all(run.outputs == runs[0].outputs for run in runs)
    assert runs[0].outputs["o"] == ref_dot(data, VARIANTS[name])
    assert runs[0].outputs["o_tag"] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("flow", Flow)
@pytest.mark.parametrize("kind", DOT_CHOICES)
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_under_every_flow(kind, flow, seed):
    name = "shared query part"
    beats = np.random.default_rng(seed).integers(1, 25, 10).tolist()
    data = draw(VARIANTS[name], beats, seed)
    run = rtl_dot(data, kind, name, flow, seed)
    assert run.outputs == {"o": ref_dot(data, VARIANTS[name]), "o_tag": list(range(len(beats)))}


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("kind", DOT_CHOICES)
def test_latency(kind, name):
    variant = VARIANTS[name]
    if kind == MULTIPLIERS:
        documented = multiplier_dot_latency(variant.head_dim)
    else:
        latency = table_shape(kind).dot_latency
        keys = [dict(variant.keys)[key] for _, _, key in variant.terms]
        documented = max(latency(variant.head_dim, key.width, key.signed) for key in keys)
    dot = variant.dot(kind)  # `rtl_dot` holds every run to its latency
    Fragment.get(dot, None)  # so that it counts as used
    assert dot.latency == documented


def test_prepare_cycles():
    by_dims = {3: 8, 4: 16}
    assert {kind: by_dims[kind.table_dims] for kind in TABLE_CHOICES} | {MULTIPLIERS: 1} == PREPARE_CYCLES


@pytest.mark.parametrize("kind", DOT_CHOICES)
def test_preparing_takes_prepare_cycles_and_no_more_queries_are_held_than_there_are_slots(kind):
    name, cycles = "one group pair", PREPARE_CYCLES[kind]
    dot = VARIANTS[name].dot(kind)
    slots = 2 if kind in TWO_SLOTS else 1
    assert dot.slots == slots
    queries = [{"parts": {"high": [0] * 8}, "tag": index} for index in range(4)]
    run = run_block(dot, {"i_query": queries[:slots]}, {})
    # Offered from cycle 0; the transfer is in the last of `prepare_cycles` cycles.
    assert run.cycles["i_query"] == [cycles - 1, 2 * cycles - 1][:slots]
    dot = VARIANTS[name].dot(kind)
    with pytest.raises(AssertionError, match="i_query has 1 left"):
        run_block(dot, {"i_query": queries[: slots + 1]}, {}, cycle_limit=100)


@pytest.mark.parametrize("kind", TWO_SLOTS)
@pytest.mark.parametrize("extra", [0, 3])
def test_no_gap_between_queries_whose_keys_take_the_time_to_prepare(kind, extra):
    name = "one group pair"
    cycles = PREPARE_CYCLES[kind] + VARIANTS[name].timing(kind).fill_latency
    run = rtl_dot(draw(VARIANTS[name], [cycles + extra] * 6, seed=5), kind, name)
    assert {after - before for before, after in pairwise(run.cycles["i_keys"])} == {1}


@pytest.mark.each_choice
@pytest.mark.parametrize("kind", DOT_CHOICES)
@pytest.mark.parametrize(
    "name", ["keys come later", "keys come as late as entries", "keys come last", "sliced entries to lanes"]
)
@pytest.mark.parametrize("beats", [1, 5, 30])
def test_filling_overlaps_the_way_of_the_keys(kind, name, beats):
    """A slot is neither filled before its last key has passed nor read before it is full, and no cycle is lost."""
    variant = VARIANTS[name]
    data = draw(variant, [beats] * 5, seed=3)
    run = rtl_dot(data, kind, name)
    assert run.outputs["o"] == ref_dot(data, variant)
    if kind not in TWO_SLOTS:
        fill, delay = variant.timing(kind).fill_latency, variant.key_delay
        distances = {after - before for before, after in pairwise(run.cycles["o_tag"])}
        assert distances == {beats + PREPARE_CYCLES[kind] + max(0, fill - delay) + max(0, delay - 1 - fill)}


@pytest.mark.parametrize("kind", [kind for kind in DOT_CHOICES if kind not in TWO_SLOTS])
@pytest.mark.parametrize("keys", [1, 40])
def test_with_one_place_a_query_is_prepared_when_the_keys_of_the_last_have_passed(kind, keys):
    name = "one group pair"
    run = rtl_dot(draw(VARIANTS[name], [keys] * 4, seed=5), kind, name)
    distances = {after - before for before, after in pairwise(run.cycles["o_tag"])}
    assert distances == {keys + PREPARE_CYCLES[kind] + VARIANTS[name].timing(kind).fill_latency}


@pytest.mark.parametrize("kind", TWO_SLOTS)
def test_queries_of_few_keys_are_prepare_cycles_apart(kind):
    name, cycles = "one group pair", PREPARE_CYCLES[kind]
    run = rtl_dot(draw(VARIANTS[name], [1] * 8, seed=6), kind, name)
    assert {after - before for before, after in pairwise(run.cycles["o_tag"])} == {cycles}


@pytest.mark.parametrize("kind", DOT_CHOICES)
def test_a_wrong_expectation_is_noticed(kind):
    name = "three groups"
    data = draw(VARIANTS[name], [4, 4], seed=7)
    expected = ref_dot(data, VARIANTS[name])
    expected[5]["t"][3] ^= 1
    assert rtl_dot(data, kind, name).outputs["o"] != expected
