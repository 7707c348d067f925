"""Register slices by name: which core has which, and that each of them changes no result and is in the estimate."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from latte_hw.config import Core, LatteConfig
from latte_hw.config.presets import PRESETS, preset
from latte_hw.estimate.cycles import cycles_of
from latte_hw.params import HeadParams, head, pipeline
from latte_hw.params.pipeline import COMPACT, LARGE, WIDE, Pipeline, pipeline_of
from sim.reports.estimate_cycles import Case, pattern_of
from sim.simulate import compare, expect, simulate

HOPS = [field.name for field in fields(Pipeline)]
SWITCHES = (
    "final_compare",
    "scan_start",
    "row_issue",
    "row_count",
    "beat_compare",
    "best_follow",
    "limit_compare",
    "row_end",
    "divisor_check",
)  # 0 or 1
PAIRS = LatteConfig(head_dim=8, max_keys=48, keys_per_cycle=12, kept_per_cycle=2)
CASE = Case({"kept_per_cycle": 2, "table_queries": 1}, queries=12, keys=30, keep=0.4)
TWICE = Pipeline(**{hop: 1 if hop in SWITCHES else 2 for hop in HOPS})


def assert_as_estimated(hops: Pipeline, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "pipeline_of", lambda _config: hops)
    tensors, config = case.tensors(), case.config
    got = simulate(tensors, config, simulator="amaranth", taps=False)
    np.testing.assert_array_equal(got["out"], expect(tensors, config)["out"])
    left = got["query_cycles"][0] - got["query_start"][0, 0]
    np.testing.assert_array_equal(left, cycles_of(pattern_of(case, tensors), config).left)


def test_auto_has_slices_where_lanes_are_many():
    for name, config in PRESETS.items():
        wide = config.keys_per_cycle > 8
        assert pipeline_of(config) == (replace(WIDE, row_limit=0) if wide else COMPACT), name
    assert pipeline_of(PAIRS) == WIDE
    assert pipeline_of(PAIRS.replace(pipeline="compact")) == COMPACT == Pipeline(**dict.fromkeys(HOPS, 0))
    assert pipeline_of(preset("tiny").replace(pipeline="large", kept_per_cycle=2)) == LARGE


def test_lanes_that_share_a_scan_know_their_credits_at_once():
    shared = pipeline_of(preset("tiny").replace(queries_per_scan=2))
    assert (shared.row_issue, shared.row_params, shared.threshold_read, shared.row_limit) == (0, 0, 0, 0)
    assert shared.table_fill == 1


def test_hops_are_documented_one_by_one():
    text = Path(pipeline.__file__).read_text()
    for hop in HOPS:
        assert f'    {hop}: int = 0\n    """From ' in text, hop


def test_every_hop_twice(monkeypatch):
    assert_as_estimated(TWICE, CASE, monkeypatch)


@pytest.mark.parametrize("queries_per_scan", [1, 2])
def test_slices_before_the_output_port_are_a_field(queries_per_scan):
    case = Case({"output_slices": 3, "queries_per_scan": queries_per_scan}, queries=6, keys=12)
    tensors, config = case.tensors(), case.config
    got = simulate(tensors, config, simulator="amaranth", flow="both")
    assert compare(expect(tensors, config), got) is None
    bounds = [HeadParams(one).bounds.query_latency(12, 3) for one in (config.replace(output_slices=0), config)]
    assert bounds[1] == bounds[0] + 3
    free = simulate(tensors, config, simulator="amaranth", taps=False)
    left = free["query_cycles"][0] - free["query_start"][0, 0]
    np.testing.assert_array_equal(left, cycles_of(pattern_of(case, tensors), config).left)


def test_a_large_dense_core(monkeypatch):
    hops = pipeline_of(LatteConfig(pipeline="large"))
    assert_as_estimated(hops, Case(queries=12, keys=30, core=Core.DENSE), monkeypatch)


def test_a_large_core_takes_a_few_cycles_more_for_one_query():
    bounds = [
        HeadParams(preset("gpt2").replace(pipeline=choice)).bounds.query_latency(1024, 100)
        for choice in ("compact", "large")
    ]
    assert 0 < bounds[1] - bounds[0] <= 24


@pytest.mark.slow
@pytest.mark.parametrize("hop", HOPS)
def test_every_hop_by_itself(hop, monkeypatch):
    base = replace(COMPACT, row_issue=int(hop == "row_count"))
    assert_as_estimated(replace(base, **{hop: 1}), CASE, monkeypatch)
