"""The threshold filter against the golden mask, both rules, ties, limits and empty rows."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.blocks.threshold_filter import filter_tile, valid_mask
from latte_hw.config import LatteConfig, Rule
from latte_hw.core.threshold_filter import HeadThresholdFilter
from latte_hw.estimate.pattern import from_estimates
from latte_hw.params import HeadParams
from sim.blocks.block_bench import BlockRun, run_block
from sim.blocks.key_items import Item, bare, key_items, keys_of, with_values
from sim.lib.streams import Flow

TINY = LatteConfig(head_dim=8, max_keys=40, keys_per_cycle=4)
CONFIGURATIONS = {
    "four lanes": TINY,
    "one lane": TINY.replace(keys_per_cycle=1, max_keys=20),
    "seven lanes": TINY.replace(keys_per_cycle=7, max_keys=35),
    "sixteen lanes": TINY.replace(keys_per_cycle=16, max_keys=64),
    "single beat": TINY.replace(max_keys=4),
    "eight bits": TINY.replace(msb_bits=8),
    "pairs": TINY.replace(kept_per_cycle=2),
    "pairs of one lane": TINY.replace(keys_per_cycle=1, max_keys=20, kept_per_cycle=2),
    "pairs of seven lanes": TINY.replace(keys_per_cycle=7, max_keys=35, kept_per_cycle=2),
    "pairs of twelve lanes": TINY.replace(keys_per_cycle=12, max_keys=48, kept_per_cycle=2),
    "pairs of a single beat": TINY.replace(max_keys=4, kept_per_cycle=2),
    "large": TINY.replace(pipeline="large"),
    "large, pairs": TINY.replace(pipeline="large", kept_per_cycle=2),
}


@dataclass(frozen=True)
class Data:
    """Rows: estimates (rows, whole beats of keys), number of valid keys and threshold register."""

    estimates: NDArray[np.int64]
    valid_keys: list[int]
    tau: list[int]


@dataclass(frozen=True)
class Kept:
    """Items by stream order, and the totals of the event counts."""

    items: list[Item]
    seen: int
    survivors: int


def draw(params: HeadParams, rows: int, seed: int) -> Data:
    """Rows of all kinds: few or many keys, estimates close together (ties) or at their limits, thresholds likewise."""
    rng = np.random.default_rng(seed)
    low, high = params.widths.estimate_range
    least, greatest = params.widths.threshold_range
    estimates = rng.integers(low, high, (rows, params.config.max_keys), endpoint=True)
    close = rng.integers(-3, 3, estimates.shape, endpoint=True)
    chosen = rng.integers(0, 3, rows)
    estimates[chosen == 1] = close[chosen == 1]
    estimates[chosen == 2] = np.where(close > 0, high, low)[chosen == 2]
    tau = [
        int(
            rng.choice(
                [max(least, 0), least, greatest, rng.integers(0, 6), rng.integers(least, greatest, endpoint=True)]
            )
        )
        for _ in range(rows)
    ]
    valid_keys = rng.integers(0, params.config.max_keys, rows, endpoint=True)
    valid_keys[rng.random(rows) < 0.2] = 0
    return Data(estimates, valid_keys.tolist(), tau)


def ref_threshold_filter(data: Data, params: HeadParams) -> Kept:
    items, survivors = [], 0
    for e, count, tau in zip(data.estimates, data.valid_keys, data.tau, strict=True):
        valid = valid_mask([count], len(e))
        keep, survived = filter_tile(e[None].astype(np.float64), valid, tau, params)
        kept_per_cycle, lanes = params.config.kept_per_cycle, params.config.keys_per_cycle
        ends = keeps_at_its_end(e, count, tau, params) if kept_per_cycle == 2 else None
        row = key_items(keep[0].tolist(), count, lanes, kept_per_cycle, ends)
        items += [with_values(item, "estimate", e) for item in row]
        survivors += int(survived[0])
    return Kept([bare(item) for item in items], sum(data.valid_keys), survivors)


def keeps_at_its_end(e: NDArray[np.int64], count: int, tau: int, params: HeadParams) -> bool:
    """Whether the beats that are checked last keep a key: two by two, of those with survivors and the row's last."""
    beats = params.widths.beats(count)
    pattern = from_estimates(e[None], tau, params.config, np.array([count]))
    pattern.survives[0, beats - 1] = True
    queued = np.flatnonzero(pattern.survives[0, :beats])
    return bool(pattern.kept[0, queued[(len(queued) - 1) // 2 * 2 :]].any())


def beats_of(data: Data, params: HeadParams) -> list[dict[str, Any]]:
    """The estimator's beats. Lanes without a valid key hold the greatest estimate, which must not count."""
    lanes, beats = params.config.keys_per_cycle, []
    for e, count in zip(data.estimates, data.valid_keys, strict=True):
        valid = np.arange(len(e)) < count
        shown = np.where(valid, e, params.widths.estimate_range[1])
        last = params.widths.beats(count) - 1
        beats += [
            {
                "estimates": shown[beat * lanes :][:lanes].tolist(),
                "mask": valid[beat * lanes :][:lanes].astype(int).tolist(),
                "first_key": beat * lanes,
                "last": int(beat == last),
            }
            for beat in range(last + 1)
        ]
    return beats


def run_filter(data: Data, params: HeadParams, items: int, flow: str = Flow.FREE, seed: int = 0) -> BlockRun:
    return run_block(
        HeadThresholdFilter(params),
        {"i_threshold": data.tau, "i_beat": beats_of(data, params)},
        {"o_kept": items},
        flow=flow,
        seed=seed,
        watch=["o_seen", "o_survivors"],
    )


def rtl_threshold_filter(data: Data, params: HeadParams, items: int, flow: str = Flow.FREE, seed: int = 0) -> Kept:
    run = run_filter(data, params, items, flow, seed)
    return Kept([bare(i) for i in run.outputs["o_kept"]], sum(run.watched["o_seen"]), sum(run.watched["o_survivors"]))


def assert_equal(data: Data, params: HeadParams, flow: str = Flow.FREE, seed: int = 0) -> Kept:
    expected = ref_threshold_filter(data, params)
    assert rtl_threshold_filter(data, params, len(expected.items), flow, seed) == expected
    return expected


@pytest.mark.each_choice
@pytest.mark.parametrize("flow", Flow)
@pytest.mark.parametrize("rule", Rule)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_rows_of_all_kinds(name, rule, flow):
    params = HeadParams(CONFIGURATIONS[name].replace(rule=rule))
    assert_equal(draw(params, 24, seed=1), params, flow, seed=2)


@pytest.mark.each_choice
@pytest.mark.parametrize("kept_per_cycle", [1, 2], ids="{} kept per cycle".format)
@pytest.mark.parametrize("rule", Rule)
@pytest.mark.parametrize("seed", range(4))
def test_random_rows(rule, seed, kept_per_cycle):
    params = HeadParams(TINY.replace(rule=rule, kept_per_cycle=kept_per_cycle))
    assert_equal(draw(params, 40, seed), params, Flow.BOTH, seed)


def row(estimates: list[int], tau: int, size: int = 40) -> Data:
    padded = np.array([estimates + [0] * (size - len(estimates))])
    return Data(padded, [len(estimates)], [tau])


def kept_keys(kept: Kept) -> list[int]:
    return keys_of(kept.items)


@pytest.mark.parametrize("kept_per_cycle", [1, 2], ids="{} kept per cycle".format)
@pytest.mark.parametrize(
    ("rule", "tau", "estimates", "keys"),
    [
        (Rule.DIFFERENTIAL, 0, [5, 3, 5, 4, 5, 1], [0, 2, 4]),  # ties for the best
        (Rule.DIFFERENTIAL, 1, [5, 3, 5, 4, 5, 1], [0, 2, 3, 4]),  # exactly at the threshold
        (Rule.DIFFERENTIAL, 2**11 - 1, [512, -448, 0, -448, 512], [0, 1, 2, 3, 4]),  # the greatest keeps all
        (Rule.DIFFERENTIAL, 0, [-448] * 9, list(range(9))),
        (Rule.DIFFERENTIAL, 3, [1, 2, 3, 4, 10, 9, 8, 7, 13], [4, 8]),  # survivors that fail the final check
        (Rule.DIFFERENTIAL, 3, [13, 1, 2, 3, 4, 5], [0]),  # last beat keeps nothing
        (Rule.DIFFERENTIAL, 9, [], []),
        (Rule.STATIC, 4, [5, 3, 5, 4, 5, 1], [0, 2, 3, 4]),
        (Rule.STATIC, 2**10 - 1, [5, 3, 5, 4], [0, 2]),  # beyond every key: the best alone
        (Rule.STATIC, -(2**10), [512, -448, 0], [0, 1, 2]),  # the least keeps all
        (Rule.STATIC, -5, [-9, -7, -7, -8], [1, 2]),
        (Rule.STATIC, -(2**10), [], []),
    ],
)
def test_named_rows(rule, tau, estimates, keys, kept_per_cycle):
    params = HeadParams(TINY.replace(rule=rule, kept_per_cycle=kept_per_cycle))
    assert params.widths.estimate_bits == 11
    assert kept_keys(assert_equal(row(estimates, tau), params)) == keys


def test_early_drop_counts_survivors():
    params = HeadParams(TINY)
    # Beat 0 has best 4: 1 falls. Beat 1 has best 10: 7 to 10 pass. Beat 2: 13 passes.
    expected = assert_equal(row([1, 2, 3, 4, 10, 9, 8, 7, 13], tau=2), params)
    assert (expected.seen, expected.survivors, kept_keys(expected)) == (9, 3 + 3 + 1, [8])


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_latency_of_a_single_beat(name):
    params = HeadParams(CONFIGURATIONS[name])
    run = run_filter(row([1], tau=0, size=params.config.max_keys), params, items=1)
    accepted = run.cycles["i_beat"][0]
    assert [c for c, seen in enumerate(run.watched["o_seen"]) if seen] == [accepted + 1]
    assert [c for c, kept in enumerate(run.watched["o_survivors"]) if kept] == [accepted + params.latency.filter]
    queued, checked = params.latency.filter + params.latency.queue, params.latency.check + params.latency.queue
    serialised = params.latency.choice + params.latency.queue
    assert run.cycles["o_kept"] == [accepted + queued + checked + serialised]


@pytest.mark.each_choice
@pytest.mark.parametrize("kept_per_cycle", [1, 2], ids="{} kept per cycle".format)
@pytest.mark.parametrize(
    ("beats", "keys"),
    [(10, [0, 5, 38]), (10, [0, 5, 7]), (10, list(range(20, 40))), (10, list(range(40))), (2, [0, 1, 2]), (1, [])],
)
def test_a_row_takes_the_longer_of_beats_and_items(beats, keys, kept_per_cycle):
    params = HeadParams(TINY.replace(kept_per_cycle=kept_per_cycle))
    estimates = np.full(40, -400)
    estimates[keys] = 100
    valid_keys = 4 * beats if keys else 0
    data = Data(np.tile(estimates, (20, 1)), [valid_keys] * 20, [0] * 20)
    items = len(ref_threshold_filter(data, params).items)
    run = run_filter(data, params, items)
    ends = [c for c, item in zip(run.cycles["o_kept"], run.outputs["o_kept"], strict=True) if item["last"]]
    assert {after - before for before, after in pairwise(ends[5:])} == {max(beats, items // 20)}


@pytest.mark.parametrize("keep", [[1, 3] * 5, [1] * 5 + [4] * 5, [4, 1, 1] * 3, [3] * 10, [1] * 10], ids=str)
def test_kept_keys_of_different_beats_make_pairs(keep):
    """A row takes the longer of its beats and its pairs, however its kept keys lie."""
    params = HeadParams(TINY.replace(kept_per_cycle=2))
    estimates = np.full((len(keep), 4), -400)
    for beat, count in enumerate(keep):
        estimates[beat, (np.arange(count) + beat) % 4] = 100
    row = np.concatenate([estimates.ravel(), np.zeros(40 - estimates.size, int)])
    data = Data(np.tile(row, (20, 1)), [estimates.size] * 20, [0] * 20)
    pairs = -(-sum(keep) // 2)
    run = run_filter(data, params, 20 * pairs)
    ends = [c for c, item in zip(run.cycles["o_kept"], run.outputs["o_kept"], strict=True) if item["last"]]
    assert {after - before for before, after in pairwise(ends[5:])} == {max(len(keep), pairs)}
    assert keys_of(run.outputs["o_kept"]) == np.flatnonzero(row == 100).tolist() * 20


@pytest.mark.parametrize("kept_per_cycle", [1, 2], ids="{} kept per cycle".format)
@pytest.mark.parametrize("rule", Rule)
def test_many_short_rows_wait_for_their_keys_to_leave(rule, kept_per_cycle):
    params = HeadParams(TINY.replace(rule=rule, kept_per_cycle=kept_per_cycle))
    rows = params.depths.kept + 3 * params.depths.rows
    data = draw(params, rows, seed=4)
    tau = [params.widths.threshold_range[rule is Rule.DIFFERENTIAL]] * rows  # keeps every key
    assert_equal(Data(data.estimates, [4] * rows, tau), params)


def test_a_corrupted_expectation_is_noticed():
    params = HeadParams(TINY)
    data = row([5, 3, 5, 4], tau=1)
    got = rtl_threshold_filter(data, params, items=3)
    assert got == ref_threshold_filter(data, params)
    data.estimates[0, 3] += 1  # still kept, with another estimate
    assert got != ref_threshold_filter(data, params)
