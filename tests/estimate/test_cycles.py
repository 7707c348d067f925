"""Estimated cycles are those of the simulation, query by query; the rest of the cases runs in
`sim.reports.estimate_cycles`."""

from dataclasses import replace

import numpy as np
import pytest

from latte_hw.config import Core
from latte_hw.estimate.cycles import Cycles, cycles_of
from latte_hw.estimate.pattern import typical
from latte_hw.params import HeadParams
from latte_hw.params.dense import DenseParams
from latte_hw.params.depths import Depths
from sim.reports.estimate_cycles import CASES, Case, compare, pattern_of

ONE_OF_A_KIND = (1, 8, 9, 13, 22, 30)
"""Two tables, multipliers, one table, shared scans, pairs of kept keys, dense."""

MORE = (2, 11, 20, 23, 26, 27)


@pytest.mark.parametrize("number", [*ONE_OF_A_KIND, *(pytest.param(one, marks=pytest.mark.slow) for one in MORE)])
def test_every_output_row_leaves_in_the_estimated_cycle(number: int):
    """In Amaranth's simulator, which needs no Verilog; tests/sim/rtl holds that to the same cycles."""
    estimated, simulated, keep_ratio, _ = compare(CASES[number], "amaranth")
    assert (estimated.left == simulated.left).all()
    assert keep_ratio > 0


def test_the_cases_are_many_and_cover_the_parameters():
    assert len(CASES) >= 20
    assert {case.core for case in CASES} == {Core.LATTE, Core.DENSE}
    fields = ("dot_choice", "rule", "causal", "queries_per_scan", "keys_per_cycle", "head_dim", "max_keys", "msb_bits")
    for field in (*fields, "kept_per_cycle"):
        assert len({getattr(case.config, field) for case in CASES if case.core is Core.LATTE}) > 1, field
    assert len({case.config.sha256() for case in CASES}) >= 20


@pytest.mark.parametrize("block_rows", [1, 2])
def test_blocks_wait_in_the_estimated_cycle_for_room_in_the_queue_of_rows(
    block_rows: int, monkeypatch: pytest.MonkeyPatch
):
    """In an unchanged core that queue never fills."""
    changes = {"queries_per_scan": block_rows, "causal": False, "max_keys": 36}
    case = Case(changes, queries=32, keys=6 * block_rows, core=Core.DENSE)
    never_waits = cycles_of(pattern_of(case, case.tensors()), case.config)
    monkeypatch.setattr(DenseParams, "rows_in_flight", 2)
    estimated, simulated, _, _ = compare(case, "amaranth")
    assert (estimated.left == simulated.left).all()
    assert estimated.total > never_waits.total


@pytest.mark.parametrize(("queue", "max_keys"), [("rows", 45), ("queries", 54)])
def test_queries_wait_in_the_estimated_cycle_for_space_in_deep_queues(
    queue: str, max_keys: int, monkeypatch: pytest.MonkeyPatch
):
    changes = {
        "keys_per_cycle": 9,
        "max_keys": max_keys,
        "table_dims": 3,
        "adders_per_register": 2,
        "kept_per_cycle": 2,
        "causal": False,
    }
    case = Case(changes, queries=40, keys=18)
    before = cycles_of(pattern_of(case, case.tensors()), case.config)
    monkeypatch.setattr(Depths, queue, 2)
    estimated, simulated, _, _ = compare(case, "amaranth")
    assert (estimated.left == simulated.left).all()
    assert estimated.total > before.total


def test_a_pattern_changes_the_cycles():
    """The comparison above can fail: one more kept key where the kept keys limit moves the rows behind it."""
    case = CASES[1]
    pattern = pattern_of(case, case.tensors())
    before = cycles_of(pattern, case.config).left
    kept = pattern.kept.copy()
    kept[10, 0] -= 1
    after = cycles_of(replace(pattern, kept=kept), case.config).left
    assert (before[:10] == after[:10]).all()
    assert (before != after).any()


@pytest.mark.parametrize("keep", [0.05, 0.3, 1])
def test_within_the_bounds_of_the_parameters(keep: float):
    config = CASES[0].config
    params = HeadParams(config)
    pattern = typical(config, 32, 32, keep)
    got = cycles_of(pattern, config)
    kept = pattern.kept.sum(axis=1)
    bounds = [
        params.bounds.cycles_per_query(int(valid), int(keys)) for valid, keys in zip(pattern.valid, kept, strict=True)
    ]
    assert got.per_query <= np.mean(bounds[1:])
    assert got.first <= params.bounds.query_latency(int(pattern.valid[0]), int(kept[0]))


def test_what_a_run_is_counted_as():
    cycles = Cycles(np.array([40, 50, 70]))
    assert (cycles.total, cycles.first, cycles.per_query) == (71, 40, 15)
    assert Cycles(np.array([40])).per_query == 41
