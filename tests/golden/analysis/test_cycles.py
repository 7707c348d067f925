"""The bounds on cycles over the queries of a head."""

import numpy as np
import pytest

from golden.analysis.cycles import head_cycles, query_cycles
from latte_hw.config import LatteConfig
from latte_hw.params import HeadParams


@pytest.mark.parametrize("dot", [{}, {"table_dims": 3}, {"dot": "multipliers"}])
def test_the_slowest_arm_sets_the_pace(dot: dict[str, object]) -> None:
    params = HeadParams(LatteConfig(**dot, keys_per_cycle=8))
    valid, kept = np.array([1000, 1000, 1, 0]), np.array([10, 300, 1, 0])
    cycles = query_cycles(valid, kept, params)
    idle = max(params.scan_dot.prepare_cycles, params.division.cycles)
    assert (cycles - params.bounds.cycle_slack).tolist() == [125, 300, idle, idle]


def test_two_kept_keys_per_cycle_take_half_as_long() -> None:
    params = HeadParams(LatteConfig(keys_per_cycle=8, kept_per_cycle=2))
    valid, kept = np.array([1000, 1000, 80]), np.array([10, 301, 80])
    assert (query_cycles(valid, kept, params) - params.bounds.cycle_slack).tolist() == [125, 151, 40]
    constant = params.scan_dot.prepare_cycles + params.bounds.latency_constant
    assert params.bounds.query_latency(1000, 301) == constant + 125 + 63 + 2 * 151


def test_with_one_place_the_refill_adds_to_every_query() -> None:
    params = HeadParams(LatteConfig(table_queries=1, keys_per_cycle=8))
    assert params.scan_dot.scan_gap == 16 + 1  # an entry per cycle, its scan begun; the store is read meanwhile
    valid, kept = np.array([1000, 1000, 1, 0]), np.array([10, 300, 1, 0])
    cycles = query_cycles(valid, kept, params) - params.bounds.cycle_slack
    assert cycles.tolist() == [125 + 17, 300 + 16, 1 + 17, 1 + 17]  # no scan has to begin for kept keys


def test_design_limits() -> None:
    params = HeadParams(LatteConfig())
    assert params.bounds.cycle_slack <= 4
    assert params.scan_dot.prepare_cycles <= 16


def test_a_head_takes_the_pace_of_every_further_query_and_one_latency() -> None:
    params = HeadParams(LatteConfig())
    valid, kept = np.array([800, 80, 800]), np.array([10, 10, 200])
    assert head_cycles(valid, kept, params) == query_cycles(valid, kept, params)[
        1:
    ].sum() + params.bounds.query_latency(800, 200)
    assert head_cycles(valid[:1], kept[:1], params) == params.bounds.query_latency(800, 10)
    assert head_cycles(valid[:0], kept[:0], params) == 0


def test_queries_of_one_scan_share_the_cycles_of_the_slowest() -> None:
    params = HeadParams(LatteConfig(keys_per_cycle=8, queries_per_scan=2, max_keys=1024))
    valid, kept = np.array([160, 168, 800, 808, 808]), np.array([70, 10, 10, 20, 300])
    scans = [70 + 4, 101 + 4, 300 + 4]
    assert query_cycles(valid, kept, params).tolist() == [37, 37, 52.5, 52.5, 304]
    assert head_cycles(valid, kept, params) == sum(scans[1:]) + params.bounds.query_latency(808, 300)
    last_leaves = 1
    assert head_cycles(valid[:4], kept[:4], params) == scans[1] + params.bounds.query_latency(808, 70) + last_leaves


def test_queries_of_a_scan_come_one_after_the_other() -> None:
    """Written down once more: a cycle each, then F to prepare them together, whose last one takes the next query."""
    params = HeadParams(LatteConfig(head_dim=8, queries_per_scan=16))
    assert params.scan_dot.prepare_cycles == 16
    assert [params.bounds.cycles_per_query(1, 1, queries) for queries in (1, 5, 16)] == [16 + 4, 5 + 15, 16 + 15]
    assert params.bounds.cycles_per_query(1, 1) == 31
    single = params.bounds.query_latency(1, 1, 1)
    assert params.bounds.query_latency(1, 1) == params.bounds.query_latency(1, 1, 16) == single + 15


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="one number per query"):
        query_cycles(np.array([1, 2]), np.array([1]), HeadParams(LatteConfig()))
