"""Softmax weights against the golden model, row by row."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.blocks.softmax import weights
from latte_hw.config import LatteConfig, Reuse, Split
from latte_hw.core.softmax import Softmax
from latte_hw.params import SCALE_MANTISSA_BITS, SCALE_SHIFT_BITS, HeadParams
from sim.blocks.block_bench import BlockRun, run_block
from sim.blocks.key_items import Item, bare, key_items, with_values
from sim.lib.streams import Flow

TINY = LatteConfig(head_dim=8, max_keys=20, keys_per_cycle=4)
CONFIGURATIONS = {
    "8 bits": TINY,
    "4 bits": TINY.replace(prob_bits=4),
    "16 bits": TINY.replace(prob_bits=16, split=Split.TRUNCATE, reuse=Reuse.EXACT),
    "one lane": TINY.replace(keys_per_cycle=1, max_keys=9),
    "no low part": TINY.replace(msb_bits=8),
    "pairs": TINY.replace(kept_per_cycle=2),
    "pairs, 16 bits": TINY.replace(kept_per_cycle=2, prob_bits=16, reuse=Reuse.EXACT),
    "pairs, one lane": TINY.replace(kept_per_cycle=2, keys_per_cycle=1, max_keys=9, prob_bits=4),
    "large": TINY.replace(pipeline="large"),
    "large, pairs": TINY.replace(pipeline="large", kept_per_cycle=2),
}
GREATEST_MANTISSA, GREATEST_SHIFT = 2**SCALE_MANTISSA_BITS - 1, 2**SCALE_SHIFT_BITS - 1


@dataclass(frozen=True)
class Data:
    """Rows: scores and kept keys (rows, max_keys), number of valid keys, scale (mantissa, shift)."""

    score: NDArray[np.int64]
    kept: NDArray[np.bool_]
    valid_keys: list[int]
    scale: list[tuple[int, int]]


def useful_scale(params: HeadParams, width: float) -> tuple[int, int]:
    """Registers for which the exponents of scores within `width` of the best use their whole range."""
    steps = 2.0**params.widths.exp_bits / width  # of the exponent, per step of the score
    return params.softmax_scale_register(
        1.0, steps / 2.0**params.widths.exp_fraction_bits * params.config.head_dim**0.5
    )


def draw(params: HeadParams, rows: int, seed: int, keep: float = 0.5) -> Data:
    """Rows of near and far scores, at useful scales and at the limits of the registers, some without a key."""
    rng, size = np.random.default_rng(seed), params.config.max_keys
    low, high = params.widths.score_range
    scores, scales = [], []
    for _ in range(rows):
        width = int(rng.choice([1, 30, 1000, high - low]))
        least = rng.integers(low, high - width, endpoint=True)
        scores.append(rng.integers(least, least + width, size, endpoint=True))
        limits = [(0, 0), (GREATEST_MANTISSA, 0), (GREATEST_MANTISSA, GREATEST_SHIFT), (2**15, 20)]
        scales.append(limits[rng.integers(4)] if rng.random() < 0.3 else useful_scale(params, width))
    valid_keys = rng.integers(1, size, rows, endpoint=True)
    valid = np.arange(size) < valid_keys[:, None]
    kept = valid & (rng.random((rows, size)) < keep) & (rng.random((rows, 1)) < 0.8)
    return Data(np.array(scores), kept, valid_keys.tolist(), scales)


def items_of(data: Data, params: HeadParams, row: int) -> list[Item]:
    config = params.config
    return key_items(data.kept[row].tolist(), data.valid_keys[row], config.keys_per_cycle, config.kept_per_cycle)


def ref_softmax(data: Data, params: HeadParams) -> list[Item]:
    expected = []
    for row, scale in enumerate(data.scale):
        prob = weights(data.score[row][None], data.kept[row][None], *scale, params)[0]
        expected += [with_values(item, "prob", prob.astype(int)) for item in items_of(data, params, row)]
    return [bare(item) | {"prob": weighing(item)} for item in expected]


def weighing(item: Item) -> int | list[int]:
    """The weights of an item; what holds no key weighs nothing."""
    weights: int | list[int] = (np.array(item["prob"]) * item["kept"]).tolist()
    return weights


def run_softmax(data: Data, params: HeadParams, flow: str = Flow.FREE, seed: int = 0) -> BlockRun:
    scored = []
    for row in range(len(data.scale)):
        # a slot without a key holds the greatest score, which must not count
        scored += [
            item
            | {"score": np.where(item["kept"], data.score[row][item["key"]], params.widths.score_range[1]).tolist()}
            for item in items_of(data, params, row)
        ]
    scales = [{"mantissa": mantissa, "shift": shift} for mantissa, shift in data.scale]
    inputs = {"i_scale": scales, "i_scored": scored}
    return run_block(Softmax(params), inputs, {"o_weighted": len(scored)}, flow=flow, seed=seed)


def rtl_softmax(data: Data, params: HeadParams, flow: str = Flow.FREE, seed: int = 0) -> list[Item]:
    items = run_softmax(data, params, flow, seed).outputs["o_weighted"]
    return [bare(item) | {"prob": item["prob"]} for item in items]


@pytest.mark.each_choice
@pytest.mark.parametrize("flow", Flow)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_weights_of_kept_keys(name, flow):
    params = HeadParams(CONFIGURATIONS[name])
    data = draw(params, 16, seed=1)
    assert rtl_softmax(data, params, flow, seed=2) == ref_softmax(data, params)


@pytest.mark.each_choice
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_random_rows(name, seed):
    params = HeadParams(CONFIGURATIONS[name])
    data = draw(params, 40, seed, keep=0.9)
    assert rtl_softmax(data, params, Flow.BOTH, seed) == ref_softmax(data, params)


def one_row(scores: list[int], scale: tuple[int, int]) -> Data:
    score = np.array([scores + [0] * (20 - len(scores))])
    return Data(score, np.arange(20)[None] < len(scores), [len(scores)], [scale])


@pytest.mark.parametrize("name", ["8 bits", "4 bits", "16 bits"])
def test_halves(name):
    params = HeadParams(CONFIGURATIONS[name])
    # Mantissa 2^15 at shift 14 − f is one exponent bit per step of the score, so each step halves the weight.
    scale = (2**15, 14 - params.widths.exp_fraction_bits)
    got = [item["prob"] for item in rtl_softmax(one_row([5, 4, 3], scale), params)]
    assert got[0] == params.widths.prob_max
    assert abs(got[1] - params.widths.prob_max / 2) <= 1
    assert abs(got[2] - params.widths.prob_max / 4) <= 1


@pytest.mark.parametrize("name", ["8 bits", "no low part"])
def test_the_extremes_of_the_score(name):
    params = HeadParams(CONFIGURATIONS[name])
    low, high = params.widths.score_range
    for scale, far in (((0, 0), params.widths.prob_max), ((GREATEST_MANTISSA, 0), 0)):
        data = one_row([low, high, low, high], scale)
        assert [item["prob"] for item in rtl_softmax(data, params)] == [far, params.widths.prob_max] * 2


def test_the_best_of_a_row_does_not_outlive_it():
    params = HeadParams(TINY)
    data = draw(params, 3, seed=0)
    data.score[:] = np.array([[1000], [-1000], [0]])
    data.kept[:] = np.arange(20) < 4
    rows = Data(data.score, data.kept, [4, 4, 4], [(GREATEST_MANTISSA, 0)] * 3)
    assert [item["prob"] for item in rtl_softmax(rows, params)] == [params.widths.prob_max] * 12


@pytest.mark.each_choice
@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("keys", [1, 5])
def test_latency_from_the_end_of_a_row(name, keys):
    params = HeadParams(CONFIGURATIONS[name])
    data = draw(params, 1, seed=3)
    data.kept[:] = np.arange(data.kept.shape[1]) < keys
    cycles = run_softmax(Data(data.score, data.kept, [keys], data.scale), params).cycles
    first = cycles["i_scored"][-1] + params.latency.softmax + params.latency.queue
    assert cycles["o_weighted"] == [first + item for item in range(params.widths.items(keys))]


@pytest.mark.parametrize("name", ["8 bits", "pairs"])
@pytest.mark.parametrize("keys", [0, 1, 7, 20])
def test_one_item_per_cycle(keys, name):
    params = HeadParams(CONFIGURATIONS[name])
    data = draw(params, 20, seed=4)
    kept = np.broadcast_to(np.arange(20) < keys, data.kept.shape)
    cycles = run_softmax(Data(data.score, kept, [max(keys, 1)] * 20, data.scale), params).cycles
    for port in ("i_scored", "o_weighted"):
        assert len(cycles[port]) == 20 * max(1, params.widths.items(keys))
        assert {after - before for before, after in pairwise(cycles[port])} == {1}


def test_the_remainder_passes_from_key_to_key_of_an_item_and_on():
    """Weights of pairs are those of single keys: 255 · 2^(−n / 4) in turn, rounded with what is left over before."""
    single, pairs = (HeadParams(TINY.replace(kept_per_cycle=each)) for each in (1, 2))
    scale = (2**15, 16 - single.widths.exp_fraction_bits)
    rows = one_row([0, -1, -2, -3, -5, -6, -7], scale)
    alone = [item["prob"] for item in rtl_softmax(rows, single)]
    assert [prob for item in rtl_softmax(rows, pairs) for prob in item["prob"]] == [*alone, 0]
    assert alone != [round(255 * 2 ** (-step / 4)) for step in (0, 1, 2, 3, 5, 6, 7)], "a remainder makes a difference"


def test_many_short_rows_wait():
    params = HeadParams(TINY)
    rows = params.depths.softmax_landing + 4 * params.depths.rows
    data = draw(params, rows, seed=6)
    kept = np.broadcast_to(np.arange(20) < 1, data.kept.shape)
    data = Data(data.score, kept, [1] * rows, data.scale)
    assert rtl_softmax(data, params, Flow.STALLED) == ref_softmax(data, params)


def test_a_corrupted_expectation_is_noticed():
    params = HeadParams(TINY)
    data = one_row([100, 90, 80], useful_scale(params, 60))
    got = rtl_softmax(data, params)
    assert got == ref_softmax(data, params)
    data.score[0, 1] -= 1
    assert got != ref_softmax(data, params)
