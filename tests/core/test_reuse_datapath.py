"""The reuse datapath, with a model of the store, against the golden scores."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.blocks.arith import split
from golden.blocks.estimator import estimate
from golden.blocks.reuse_datapath import key_operand, query_operand, scores
from latte_hw.config import Dot, LatteConfig, Reuse, Split
from latte_hw.core.payloads import Payloads
from latte_hw.core.reuse_datapath import ReuseDatapath
from latte_hw.lib.names import numbered
from latte_hw.params import HeadParams
from sim.blocks.block_bench import BlockRun, Store, pack, run_block
from sim.blocks.key_items import Item, bare, key_items, with_values
from sim.lib.streams import Flow

TINY = LatteConfig(head_dim=8, max_keys=20, keys_per_cycle=4)
CONFIGURATIONS = {
    "three terms": TINY,
    "exact": TINY.replace(reuse=Reuse.EXACT),
    "truncate": TINY.replace(split=Split.TRUNCATE),
    "truncate exact": TINY.replace(split=Split.TRUNCATE, reuse=Reuse.EXACT, head_dim=12),
    "multipliers": TINY.replace(dot=Dot.MULTIPLIERS, reuse=Reuse.EXACT),
    "two high bits": TINY.replace(msb_bits=2, reuse=Reuse.EXACT),
    "one low bit": TINY.replace(msb_bits=7, reuse=Reuse.EXACT),
    "no low part": TINY.replace(msb_bits=8),
    "one buffer": TINY.replace(kv_buffers=1, max_keys=12),
    "large": TINY.replace(pipeline="large"),
    "pairs": TINY.replace(kept_per_cycle=2),
    "pairs, exact": TINY.replace(kept_per_cycle=2, reuse=Reuse.EXACT, table_dims=3, head_dim=12),
    "pairs, multipliers": TINY.replace(kept_per_cycle=2, dot=Dot.MULTIPLIERS, split=Split.TRUNCATE),
    "pairs, no low part": TINY.replace(kept_per_cycle=2, msb_bits=8),
}


@dataclass(frozen=True)
class Data:
    """Queries (queries, D), keys of every buffer (buffers, max_keys, D), the buffer of each query, and its row.

    `kept` has shape (queries, max_keys); `valid_keys` says where each row ends.
    """

    q8: NDArray[np.int8]
    k8: NDArray[np.int8]
    buffer: list[int]
    kept: NDArray[np.bool_]
    valid_keys: list[int]

    def estimates(self, params: HeadParams, query: int) -> NDArray[np.float64]:
        q_high, k_high = split(self.q8[query][None], params)[0], split(self.k8[self.buffer[query]], params)[0]
        return np.asarray(estimate(q_high, k_high, params)[0], np.float64)  # (max_keys,)

    def store(self, params: HeadParams) -> Store:
        shape = Payloads(params).split_row
        rows = [[pack(shape, split_row(k, params)) for k in keys] for keys in self.k8]
        return lambda buffer, key: rows[buffer][key] if key < params.config.max_keys else 0


def split_row(x: NDArray[np.int8], params: HeadParams) -> dict[str, list[int]]:
    high, low = split(x, params)
    return {"high": high.tolist()} | ({"low": low.tolist()} if params.widths.low_bits else {})


def draw(params: HeadParams, seed: int, keep: list[float]) -> Data:
    """Random elements with whole rows at the limits; one row for every share of keys kept."""
    rng, config = np.random.default_rng(seed), params.config
    q8 = rng.integers(-128, params.widths.quant_max, (len(keep), config.head_dim), np.int8, endpoint=True)
    k8 = rng.integers(
        -128, params.widths.quant_max, (config.kv_buffers, config.max_keys, config.head_dim), np.int8, endpoint=True
    )
    q8[:1], q8[1:2], k8[:, 0], k8[:, 1] = -128, params.widths.quant_max, -128, params.widths.quant_max
    valid_keys = rng.integers(1, config.max_keys, len(keep), endpoint=True)
    valid = np.arange(config.max_keys) < valid_keys[:, None]
    kept = valid & (rng.random((len(keep), config.max_keys)) < np.array(keep)[:, None])
    return Data(q8, k8, rng.integers(0, config.kv_buffers, len(keep)).tolist(), kept, valid_keys.tolist())


def items_of(data: Data, params: HeadParams, query: int) -> list[Item]:
    config = params.config
    return key_items(data.kept[query].tolist(), data.valid_keys[query], config.keys_per_cycle, config.kept_per_cycle)


def ref_reuse(data: Data, params: HeadParams) -> list[Item]:
    expected = []
    for query, q in enumerate(data.q8):
        e, kept = data.estimates(params, query), data.kept[query]
        q_operand = query_operand(*split(q[None], params), params)
        k_operand = key_operand(*split(data.k8[data.buffer[query]], params), params)
        score = scores(e[None], q_operand, k_operand, kept[None], params)[0]
        expected += [with_values(item, "score", score.astype(int)) for item in items_of(data, params, query)]
    return [bare(item) for item in expected]


def run_reuse(data: Data, params: HeadParams, flow: str = Flow.FREE, seed: int = 0) -> BlockRun:
    queries, kept = [], []
    for query, q in enumerate(data.q8):
        e = data.estimates(params, query)
        queries.append({"row": split_row(q, params), "buffer": data.buffer[query]})
        kept += [with_values(item, "estimate", e.astype(int)) for item in items_of(data, params, query)]
    stores = dict.fromkeys(numbered("key_port", params.config.kept_per_cycle), data.store(params))
    inputs: dict[str, list[Any]] = {"i_query": queries, "i_kept": kept}
    return run_block(ReuseDatapath(params), inputs, {"o_scored": len(kept)}, flow=flow, seed=seed, stores=stores)


def rtl_reuse(data: Data, params: HeadParams, flow: str = Flow.FREE, seed: int = 0) -> list[Item]:
    return [bare(item) for item in run_reuse(data, params, flow, seed).outputs["o_scored"]]


@pytest.mark.each_choice
@pytest.mark.parametrize("flow", Flow)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_scores_of_kept_keys(name, flow):
    params = HeadParams(CONFIGURATIONS[name])
    data = draw(params, 1, keep=[1, 1, 0, 0.3, 0, 0.1, 0.7, 0.1])
    assert rtl_reuse(data, params, flow, seed=2) == ref_reuse(data, params)


@pytest.mark.each_choice
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("reuse", Reuse)
def test_random_rows(reuse, seed):
    params = HeadParams(TINY.replace(reuse=reuse))
    data = draw(params, seed, keep=[0.2] * 25)
    assert rtl_reuse(data, params, Flow.BOTH, seed) == ref_reuse(data, params)


@pytest.mark.parametrize("name", [name for name, config in CONFIGURATIONS.items() if config.reuse is Reuse.EXACT])
def test_exact_reuse_is_the_int8_dot_product(name):
    params = HeadParams(CONFIGURATIONS[name])
    data = draw(params, 3, keep=[1, 1, 0.5])
    dots = [data.k8[buffer].astype(int) @ q.astype(int) for q, buffer in zip(data.q8, data.buffer, strict=True)]
    expected = [int(dots[query][key]) for query, key in np.argwhere(data.kept)]
    scores_of_items = [np.ravel(item["score"]) for item in rtl_reuse(data, params) if np.any(item["kept"])]
    assert np.concatenate(scores_of_items)[: len(expected)].tolist() == expected


def test_the_estimate_is_carried_along_not_computed_again():
    params = HeadParams(TINY)
    data = draw(params, 4, keep=[1])
    items = [item | {"estimate": 7} for item in items_of(data, params, 0)]
    queries = [{"row": split_row(data.q8[0], params), "buffer": data.buffer[0]}]
    inputs, stores = {"i_query": queries, "i_kept": items}, {"key_port": data.store(params)}
    run = run_block(ReuseDatapath(params), inputs, {"o_scored": len(items)}, stores=stores)
    moved = [(7 - int(e)) << 2 * params.widths.low_bits for e in data.estimates(params, 0)]
    expected = [item["score"] + moved[item["key"]] for item in ref_reuse(data, params)]
    assert [item["score"] for item in run.outputs["o_scored"]] == expected


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_latency(name):
    params = HeadParams(CONFIGURATIONS[name])
    cycles = run_reuse(draw(params, 6, keep=[1, 1]), params).cycles
    queue = params.latency.queue if params.widths.low_bits else 0
    assert [after - before for before, after in zip(cycles["i_kept"], cycles["o_scored"], strict=True)] == [
        params.latency.reuse + queue
    ] * len(cycles["i_kept"])


@pytest.mark.parametrize("name", ["three terms", "exact", "no low part", "pairs", "pairs, no low part"])
def test_one_item_per_cycle_without_a_gap_between_queries(name):
    kept_per_cycle = CONFIGURATIONS[name].kept_per_cycle
    params = HeadParams(CONFIGURATIONS[name].replace(max_keys=24 * kept_per_cycle))
    data = draw(params, 7, keep=[1] * 5)
    enough = params.reuse_dot.refill_cycles * kept_per_cycle
    for valid_keys, gapless in ((enough, True), (enough - kept_per_cycle, params.widths.low_bits == 0)):
        rows = np.broadcast_to(np.arange(24 * kept_per_cycle) < valid_keys, data.kept.shape)
        cycles = run_reuse(Data(data.q8, data.k8, data.buffer, rows, [valid_keys] * 5), params).cycles["o_scored"]
        assert ({after - before for before, after in pairwise(cycles)} == {1}) == gapless
