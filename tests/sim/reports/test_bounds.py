"""Bounds on cycles hold under a random search, are reached, and are not below what the Verilog takes."""

from functools import cache

import numpy as np
import pytest

from golden.analysis.cycles import head_cycles, query_cycles
from latte_hw.config import DenseConfig, LatteConfig
from latte_hw.config.dot import DOT_CHOICES
from latte_hw.estimate.cycles import cycles_of
from latte_hw.estimate.dense_chain import dense_output_cycles
from latte_hw.params import HeadParams
from latte_hw.params.bounds import Bounds
from latte_hw.params.dense import DenseParams
from sim.reports.bounds import MEASURES, PATTERNS, Found, job_of, measure, search, summary
from sim.reports.rows import Job
from sim.simulate import compare, expect, simulate

SEED = 20
EACH = {"stream": 6, "dense stream": 12}
"""Patterns of a bound in the quick search: streams are long."""

QUOTED = Job(
    LatteConfig(head_dim=8, max_keys=96, keys_per_cycle=2, queries_per_scan=8, table_dims=3),
    levels=np.array([[7, 7]]),
    order=(0,) * 96,
    threshold=0,
    causal_offset=0,
)
"""A shared scan of rows of two keys: 1.81 cycles a query, where the bound once said 1.5."""


@cache
def found(bound: str) -> list[Found]:
    return [measure(bound, number, SEED) for number in range(EACH.get(bound, 40))]


@pytest.mark.parametrize("bound", MEASURES)
def test_no_random_pattern_takes_longer(bound: str) -> None:
    assert [one for one in found(bound) if one.cycles > one.allowed] == []


@pytest.mark.slow
def test_no_pattern_of_a_longer_search_takes_longer() -> None:
    figures = summary(search(600, SEED), SEED)
    assert set(figures) == set(PATTERNS)
    assert sum(row["patterns"] for row in figures.values()) >= 600
    assert all(row["violations"] == 0 for row in figures.values())
    assert all(row["median_ratio"] > 0.7 for row in figures.values()), "bounds that say something"


def test_patterns_are_of_many_kinds() -> None:
    jobs = [job_of("job", number, SEED) for number in range(80)]
    for name in ("keys_per_cycle", "queries_per_scan", "kept_per_cycle", "head_dim", "rule", "causal"):
        assert len({getattr(job.config, name) for job in jobs}) > 1, name
    assert {job.config.dot_choice for job in jobs} == set(DOT_CHOICES)
    assert min(job.shape[0] for job in jobs) == 1
    assert max(job.shape[0] for job in jobs) > 50
    kept = np.concatenate([job.pattern.kept.sum(axis=1) / np.maximum(job.pattern.valid, 1) for job in jobs])
    assert (kept.min(), kept.max()) == (0, 1)
    assert any((job.survivors > job.pattern.kept.sum(axis=1)).any() for job in jobs)


@pytest.mark.parametrize("rows", [1, 4, 9])
@pytest.mark.parametrize("keys", [1, 3, 60])
def test_the_first_row_of_a_dense_block(rows: int, keys: int) -> None:
    """As the description beside the Verilog says in words."""
    config = DenseConfig(head_dim=8, max_keys=96, queries_per_scan=rows)
    params = DenseParams.of(config)
    first = int(dense_output_cycles(np.full(rows, keys), config)[0])
    assert first == rows - 1 + keys + max(keys, params.shortest_sum) + params.latency_constant


def distance_of_scans(job: Job) -> float:
    left = cycles_of(job.pattern, job.config).left
    return float(left[-1] - left[0]) / (len(left) - 1)


def test_short_rows_of_a_shared_scan() -> None:
    """A query per cycle into its register, then F to prepare them all: 8 + 8 − 1 cycles a scan."""
    pattern, params = QUOTED.pattern, HeadParams(QUOTED.config)
    kept = pattern.kept.sum(axis=1)
    assert set(kept) == {2}
    assert distance_of_scans(QUOTED) == pytest.approx(1.81, abs=0.005)
    assert query_cycles(pattern.valid, kept, params).tolist() == [15 / 8] * 96
    assert cycles_of(pattern, QUOTED.config).left[-1] <= head_cycles(pattern.valid, kept, params)


def test_the_verilog_takes_as_long(small_simulator: str) -> None:
    tensors = QUOTED.tensors()
    got = simulate(tensors, QUOTED.config, simulator=small_simulator, taps=False)
    assert compare(expect(tensors, QUOTED.config), got) is None
    left = got["query_cycles"][0] - got["query_start"][0, 0]
    assert (left == cycles_of(QUOTED.pattern, QUOTED.config).left).all()


def reached(bound: str) -> Found | None:
    """A pattern of the quick search that takes exactly as long as its bound."""
    return next((one for one in found(bound) if one.cycles == one.allowed), None)


@pytest.mark.parametrize(
    ("bound", "owner", "formula"),
    [
        ("stream", Bounds, "cycles_per_query"),
        ("dense job", DenseParams, "job_latency"),
        ("dense stream", DenseParams, "cycles_per_block"),
    ],
)
def test_a_bound_of_one_cycle_less_does_not_hold(
    bound: str, owner: type, formula: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tight = reached(bound)
    assert tight is not None
    whole = getattr(owner, formula)
    monkeypatch.setattr(owner, formula, lambda *given, **named: whole(*given, **named) - 1)
    again = measure(bound, tight.number, SEED)
    assert again.cycles == tight.cycles > again.allowed
