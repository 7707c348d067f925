"""The estimator, with a model of the store, against the golden estimates."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.blocks.estimator import estimate
from golden.blocks.kv_store import banks
from latte_hw.config import Dot, DotChoice, LatteConfig
from latte_hw.core.estimator import MS4BEstimator
from latte_hw.core.payloads import Payloads
from latte_hw.params import HeadParams
from sim.blocks.block_bench import BlockRun, Store, pack, run_block
from sim.lib.streams import Flow

TINY = LatteConfig(head_dim=8, max_keys=40, keys_per_cycle=4)
CONFIGURATIONS = {
    "tables": TINY,
    "small tables": TINY.replace(table_dims=3),
    "single tables": TINY.replace(table_queries=1, head_dim=12),
    "multipliers": TINY.replace(dot=Dot.MULTIPLIERS),
    "five keys per cycle": TINY.replace(keys_per_cycle=5),
    "one key per cycle": TINY.replace(keys_per_cycle=1, max_keys=20),
    "one buffer": TINY.replace(kv_buffers=1, head_dim=12),
    "two bits": TINY.replace(msb_bits=2),
    "eight bits": TINY.replace(msb_bits=8),
    "single beat": TINY.replace(max_keys=4),
    "large": TINY.replace(pipeline="large"),
    "large, single tables": TINY.replace(pipeline="large", table_queries=1),
}


@dataclass(frozen=True)
class Data:
    """High parts: of the queries (queries, D), of the keys of every buffer (buffers, max_keys, D); and the scans."""

    q_high: NDArray[np.int8]
    k_high: NDArray[np.int8]
    buffer: list[int]
    valid_keys: list[int]

    def store(self, params: HeadParams) -> Store:
        shape = Payloads(params).high_beat
        images = [banks(k, params) for k in self.k_high]  # (P, beats, D) of every buffer
        beats = [[pack(shape, image[:, beat].tolist()) for beat in range(params.widths.max_beats)] for image in images]
        return lambda buffer, beat: beats[buffer][beat] if beat < params.widths.max_beats else 0


def draw(params: HeadParams, seed: int, valid_keys: list[int]) -> Data:
    """Random parts; the first query and key hold the least values, the second ones the greatest."""
    rng, config = np.random.default_rng(seed), params.config
    low, high = params.widths.high_range
    q = rng.integers(low, high, (len(valid_keys), config.head_dim), np.int8, endpoint=True)
    k = rng.integers(low, high, (config.kv_buffers, config.max_keys, config.head_dim), np.int8, endpoint=True)
    q[:1], q[1:2], k[:, 0], k[:, 1] = low, high, low, high
    return Data(q, k, rng.integers(0, config.kv_buffers, len(valid_keys)).tolist(), valid_keys)


def ref_estimator(data: Data, params: HeadParams) -> list[dict[str, Any]]:
    """Beats of every query; masked lanes hold zero."""
    lanes, expected = params.config.keys_per_cycle, []
    for q, buffer, count in zip(data.q_high, data.buffer, data.valid_keys, strict=True):
        beats = params.widths.beats(count)
        row = np.zeros(beats * lanes, np.int64)
        row[:count] = estimate(q[None], data.k_high[buffer], params)[0, :count]
        mask = np.arange(beats * lanes) < count
        expected += [
            {
                "estimates": row[beat * lanes :][:lanes].tolist(),
                "mask": mask[beat * lanes :][:lanes].astype(int).tolist(),
                "first_key": beat * lanes,
                "last": int(beat == beats - 1),
            }
            for beat in range(beats)
        ]
    return expected


def run_estimator(data: Data, params: HeadParams, flow: str = Flow.FREE, seed: int = 0) -> BlockRun:
    queries = [
        {"high": q.tolist(), "scan": {"buffer": buffer, "keys": {"count": count}}}
        for q, buffer, count in zip(data.q_high, data.buffer, data.valid_keys, strict=True)
    ]
    beats = sum(params.widths.beats(count) for count in data.valid_keys)
    stores = {"beat_port": data.store(params)}
    return run_block(
        MS4BEstimator(params), {"i_query": queries}, {"o_beat": beats}, flow=flow, seed=seed, stores=stores
    )


def rtl_estimator(data: Data, params: HeadParams, flow: str = Flow.FREE, seed: int = 0) -> list[dict[str, Any]]:
    beats = run_estimator(data, params, flow, seed).outputs["o_beat"]
    for beat in beats:
        beat["estimates"] = [e if valid else 0 for e, valid in zip(beat["estimates"], beat["mask"], strict=True)]
    return beats


@pytest.mark.each_choice
@pytest.mark.parametrize("flow", Flow)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_estimates_of_every_valid_key(name, flow):
    params = HeadParams(CONFIGURATIONS[name])
    most = params.config.max_keys
    valid_keys = [most, most - 1, 0, 1, 0, min(5, most), min(8, most), 0, 2, most]
    data = draw(params, 1, valid_keys)
    assert rtl_estimator(data, params, flow, seed=2) == ref_estimator(data, params)


@pytest.mark.parametrize("seed", range(3))
def test_random_scans(seed):
    params = HeadParams(TINY)
    data = draw(params, seed, np.random.default_rng(seed).integers(0, 40, 20, endpoint=True).tolist())
    assert rtl_estimator(data, params, Flow.BOTH, seed) == ref_estimator(data, params)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_latency(name):
    params = HeadParams(CONFIGURATIONS[name])
    cycles = run_estimator(draw(params, 3, [3]), params).cycles
    first_read = cycles["i_query"][0] + 2 + params.scan_dot.prepared_latency  # prepared, its scan begun
    assert cycles["i_query"] == [params.scan_dot.prepare_cycles - 1]
    assert cycles["o_beat"][0] - first_read == params.latency.estimator + params.latency.queue


@pytest.mark.parametrize("dot", [DotChoice(), DotChoice(table_dims=3), DotChoice(Dot.MULTIPLIERS)])
def test_no_gap_between_queries_that_take_gapless_beats(dot):
    params = HeadParams(LatteConfig(head_dim=8, max_keys=48, keys_per_cycle=2, **dot.fields()))
    assert params.scan_dot.scan_gap == 0
    enough = 2 * params.scan_dot.gapless_beats
    for valid_keys, gapless in ((enough, True), (enough - 1, True), (enough - 2, False)):
        cycles = run_estimator(draw(params, 4, [valid_keys, 48, *[valid_keys] * 4]), params).cycles["o_beat"]
        assert ({after - before for before, after in pairwise(cycles)} == {1}) == gapless


@pytest.mark.parametrize("beats", [1, 20])
def test_with_one_place_queries_are_a_gap_apart(beats):
    params = HeadParams(LatteConfig(head_dim=8, max_keys=40, keys_per_cycle=2, table_queries=1))
    cycles = run_estimator(draw(params, 4, [2 * beats] * 5), params).cycles["o_beat"]
    assert cycles[beats] - cycles[beats - 1] == 1 + params.scan_dot.scan_gap
    assert cycles[-1] - cycles[0] == 4 * (beats + params.scan_dot.scan_gap) + beats - 1


def test_queries_of_few_beats_are_prepare_cycles_apart():
    params = HeadParams(TINY)
    cycles = run_estimator(draw(params, 5, [4] * 6), params).cycles["o_beat"]
    assert {after - before for before, after in pairwise(cycles)} == {params.scan_dot.prepare_cycles}
