"""Weighted sum and division, with a model of the store, against the golden outputs."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.blocks.weighted_sum import weighted_sum
from latte_hw.config import LatteConfig
from latte_hw.core.payloads import Payloads
from latte_hw.core.weighted_sum import WeightedSum
from latte_hw.lib.names import numbered
from latte_hw.params import HeadParams
from sim.blocks.block_bench import BlockRun, Store, pack, run_block
from sim.blocks.key_items import Item, key_items
from sim.lib.streams import Flow

TINY = LatteConfig(head_dim=8, max_keys=20, keys_per_cycle=4)
CONFIGURATIONS = {
    "int8": TINY,
    "8 fraction bits": TINY.replace(out_fraction_bits=8),
    "4-bit weights": TINY.replace(prob_bits=4, out_fraction_bits=3),
    "16-bit weights": TINY.replace(prob_bits=16, out_fraction_bits=8),
    "two lanes of division": TINY.replace(head_dim=20),
    "division with padding": TINY.replace(head_dim=68, max_keys=8),
    "one buffer": TINY.replace(kv_buffers=1, keys_per_cycle=1, max_keys=9),
    "large": TINY.replace(pipeline="large"),
    "large, pairs": TINY.replace(pipeline="large", kept_per_cycle=2),
    "pairs": TINY.replace(kept_per_cycle=2),
    "pairs, 16-bit weights": TINY.replace(kept_per_cycle=2, prob_bits=16, out_fraction_bits=8, head_dim=20),
}


@dataclass(frozen=True)
class Data:
    """Rows of weights (rows, max_keys) and where each ends; V (buffers, max_keys, D); what comes with each row.

    `row_ends` has an entry per row and, in between, those of jobs without queries (`empty`).
    """

    prob: NDArray[np.int64]
    kept: NDArray[np.bool_]
    valid_keys: list[int]
    v8: NDArray[np.int8]
    row_ends: list[dict[str, int]]

    @property
    def rows(self) -> list[dict[str, int]]:
        return [end for end in self.row_ends if not end["empty"]]

    def store(self, params: HeadParams) -> Store:
        shape = Payloads(params).element_row
        rows = [[pack(shape, v.tolist()) for v in values] for values in self.v8]
        return lambda buffer, key: rows[buffer][key] if key < params.config.max_keys else 0


def row_end(buffer: int = 0, empty: int = 0, last: int = 0, release: int = 0) -> dict[str, int]:
    return {"buffer": buffer, "empty": empty, "last": last, "release": release}


def draw(params: HeadParams, rows: int, seed: int, empty_jobs: float = 0.3) -> Data:
    """Random rows; some without a key, some with weights and values all at their limits."""
    rng, config = np.random.default_rng(seed), params.config
    v8 = rng.integers(-128, 127, (config.kv_buffers, config.max_keys, config.head_dim), np.int8, endpoint=True)
    v8[:, :, 0], v8[:, :, 1] = -128, 127
    prob = rng.integers(0, params.widths.prob_max, (rows, config.max_keys), endpoint=True)
    prob[rng.random(rows) < 0.2] = params.widths.prob_max
    valid_keys = rng.integers(1, config.max_keys, rows, endpoint=True)
    kept = (np.arange(config.max_keys) < valid_keys[:, None]) & (rng.random(prob.shape) < rng.random((rows, 1)))
    prob[np.arange(rows), kept.argmax(axis=1)] = (
        params.widths.prob_max
    )  # softmax gives the best key the greatest weight
    ends = []
    for _ in range(rows):
        while rng.random() < empty_jobs:
            ends.append(row_end(int(rng.integers(config.kv_buffers)), empty=1, release=int(rng.integers(2))))
        ends.append(row_end(int(rng.integers(config.kv_buffers)), 0, *rng.integers(0, 2, 2).tolist()))
    return Data(prob, kept, valid_keys.tolist(), v8, ends)


def ref_weighted_sum(data: Data, params: HeadParams) -> list[dict[str, Any]]:
    weights = data.prob * data.kept
    return [
        {"row": weighted_sum(prob[None], data.v8[end["buffer"]], params)[0].tolist(), "last": end["last"]}
        for prob, end in zip(weights, data.rows, strict=True)
    ]


def items_of(data: Data, params: HeadParams, row: int) -> list[Item]:
    config, kept = params.config, data.kept[row].tolist()
    items = key_items(kept, data.valid_keys[row], config.keys_per_cycle, config.kept_per_cycle)
    return [item | {"prob": (data.prob[row][item["key"]] * item["kept"]).tolist()} for item in items]


def run_weighted_sum(
    data: Data, params: HeadParams, flow: str = Flow.FREE, seed: int = 0, pace: float = 0.5
) -> BlockRun:
    weighted = [item for row in range(len(data.prob)) for item in items_of(data, params, row)]
    return run_block(
        WeightedSum(params),
        {"i_row": data.row_ends, "i_weighted": weighted},
        {"o_out": len(data.prob)},
        flow=flow,
        seed=seed,
        pace=pace,
        stores=dict.fromkeys(numbered("value_port", params.config.kept_per_cycle), data.store(params)),
        watch=["o_free"],
    )


def rtl_weighted_sum(data: Data, params: HeadParams, flow: str = Flow.FREE, seed: int = 0) -> list[dict[str, Any]]:
    run = run_weighted_sum(data, params, flow, seed)
    released = [cycle for cycle, end in zip(run.cycles["i_row"], data.row_ends, strict=True) if end["release"]]
    freed = [cycle - params.division.last_group for cycle, free in enumerate(run.watched["o_free"]) if free]
    assert freed == released
    return run.outputs["o_out"]


@pytest.mark.each_choice
@pytest.mark.parametrize("flow", Flow)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_rows_of_all_kinds(name, flow):
    params = HeadParams(CONFIGURATIONS[name])
    data = draw(params, 14, seed=1)
    assert rtl_weighted_sum(data, params, flow, seed=2) == ref_weighted_sum(data, params)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fraction_bits", [0, 8])
def test_random_rows(fraction_bits, seed):
    params = HeadParams(TINY.replace(out_fraction_bits=fraction_bits))
    data = draw(params, 40, seed)
    assert rtl_weighted_sum(data, params, Flow.BOTH, seed) == ref_weighted_sum(data, params)


def test_a_slow_reader_stalls_the_rows():
    params = HeadParams(TINY)
    data = draw(params, 20, seed=6)
    run = run_weighted_sum(data, params, Flow.STALLED, pace=0.02)
    assert run.outputs["o_out"] == ref_weighted_sum(data, params)


def one_row(params: HeadParams, weights: list[int], values: list[int]) -> list[int]:
    """Output of a single row in which key j weighs `weights[j]`; every element of its value is `values[j]`."""
    size = params.config.max_keys
    prob, kept = np.zeros((1, size), np.int64), np.zeros((1, size), bool)
    v8 = np.zeros((2, size, params.config.head_dim), np.int8)
    prob[0, : len(weights)], kept[0, : len(weights)] = weights, True
    v8[0, : len(values)] = np.array(values, np.int8)[:, None]
    (out,) = rtl_weighted_sum(Data(prob, kept, [max(1, len(weights))], v8, [row_end()]), params)
    return out["row"]


@pytest.mark.parametrize(
    ("weights", "values", "expected"),
    [
        ([255, 255], [1, 2], 2),  # 1.5: ties go up
        ([255, 255], [-1, -2], -1),  # -1.5
        ([255, 85], [0, 2], 1),  # 0.5
        ([255, 85], [0, -2], 0),  # -0.5
        ([255, 84], [0, 2], 0),  # just below 0.5
        ([255, 86], [0, -2], -1),  # just below -0.5
        ([255] * 20, [-128] * 20, -128),
        ([255] * 20, [127] * 20, 127),
        ([255, 0, 0], [3, 100, -100], 3),
        ([], [], 0),
    ],
)
def test_rounding(weights, values, expected):
    assert one_row(HeadParams(TINY), weights, values) == [expected] * 8


@pytest.mark.each_choice
@pytest.mark.parametrize("fraction_bits", [0, 1, 8])
@pytest.mark.parametrize("prob_bits", [4, 16])
@pytest.mark.parametrize("value", [-128, -1, 0, 127])
def test_a_constant_value_comes_out_exactly(value, prob_bits, fraction_bits):
    params = HeadParams(TINY.replace(prob_bits=prob_bits, out_fraction_bits=fraction_bits))
    weights = [params.widths.prob_max, 0, 1, params.widths.prob_max, 3] * 4
    assert one_row(params, weights, [value] * 20) == [value << fraction_bits] * 8


def rows_of(params: HeadParams, keys: int, rows: int = 12) -> Data:
    """Equal rows that keep their first `keys` keys; with 0 keys they are mere end markers."""
    data = draw(params, rows, seed=3, empty_jobs=0)
    kept = np.broadcast_to(np.arange(params.config.max_keys) < keys, data.kept.shape)
    return replace(data, kept=kept, valid_keys=[max(1, keys)] * rows)


@pytest.mark.each_choice
@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("keys", [0, 1, 6])
def test_latency(name, keys):
    params = HeadParams(CONFIGURATIONS[name])
    cycles = run_weighted_sum(rows_of(params, keys, rows=1), params).cycles
    documented = params.latency.weighted_sum + params.latency.queue
    assert cycles["o_out"][0] - cycles["i_weighted"][-1] == documented


@pytest.mark.each_choice
@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("keys", [0, 1, 8])
def test_a_row_takes_its_keys_or_the_division(name, keys):
    params = HeadParams(CONFIGURATIONS[name])
    cycles = run_weighted_sum(rows_of(params, keys), params).cycles["o_out"]
    assert {after - before for before, after in pairwise(cycles)} == {
        max(params.widths.items(keys), params.division.cycles)
    }


@pytest.mark.parametrize("kept_per_cycle", [1, 2])
def test_long_rows_take_their_items(kept_per_cycle):
    params = HeadParams(TINY.replace(max_keys=20 * kept_per_cycle, kept_per_cycle=kept_per_cycle))
    cycles = run_weighted_sum(rows_of(params, keys=20 * kept_per_cycle), params).cycles
    assert {after - before for before, after in pairwise(cycles["i_weighted"])} == {1}
    assert {after - before for before, after in pairwise(cycles["o_out"])} == {20}


def test_a_job_without_queries_passes_without_weights():
    params = HeadParams(TINY)
    data = draw(params, 0, seed=4)
    ends = [row_end(empty=1, release=1), row_end(empty=1), row_end(empty=1, release=1)]
    assert rtl_weighted_sum(replace(data, row_ends=ends), params) == []


def test_a_corrupted_expectation_is_noticed():
    params = HeadParams(TINY)
    data = draw(params, 4, seed=5)
    expected = ref_weighted_sum(data, params)
    expected[2]["row"][7] += 1
    assert rtl_weighted_sum(data, params) != expected
