"""Two kept keys per cycle (`kept_per_cycle`), in Verilog: every stage equals golden however keys lie, and the pace."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from golden.files.stimuli import random_trace
from golden.files.tensors import TensorFile, from_arrays
from latte_hw.config import Dot, LatteConfig, Reuse, Rule, Split
from latte_hw.config.presets import preset
from latte_hw.params import HeadParams
from sim.head.collect import Arrays
from sim.lib.streams import Flow
from sim.reports.measure import head_paces

EqualToGolden = Callable[..., Arrays]

BASE = LatteConfig(head_dim=8, max_keys=24, keys_per_cycle=4, causal=True, heads=3, kept_per_cycle=2)
CORES = {
    "as usual": BASE,
    "static, one key per cycle": BASE.replace(rule=Rule.STATIC, keys_per_cycle=1, max_keys=15, causal=False),
    "truncate, exact": BASE.replace(split=Split.TRUNCATE, reuse=Reuse.EXACT, keys_per_cycle=3, kv_buffers=1),
    "estimate is the score": BASE.replace(msb_bits=8, keys_per_cycle=7, max_keys=28, causal=False),
    "multipliers": BASE.replace(dot=Dot.MULTIPLIERS, head_dim=12, prob_bits=16, out_fraction_bits=8),
    "single tables": BASE.replace(table_queries=1, head_dim=20, prob_bits=4, rule=Rule.STATIC),
    "small tables": BASE.replace(table_dims=3, msb_bits=2, keys_per_cycle=16, max_keys=32, causal=False),
    "lean tables": BASE.replace(
        table_dims=3, adders_per_register=2, reuse=Reuse.EXACT, kv_buffers=1, out_fraction_bits=3
    ),
}

MORE_CORES = ("multipliers", "single tables")
"""Other dot products and other widths of a weight, which cores with one kept key per cycle prove as well."""


def inputs(config: LatteConfig, seed: int, keep: float) -> TensorFile:
    """Four query heads on two K/V heads; the last beat of keys is not full unless it holds one key."""
    keys = config.max_keys - config.keys_per_cycle // 2
    return from_arrays(random_trace(config, seed, 4, 2, min(keys, 7), keys, keep=keep), config)


@pytest.mark.parametrize(
    "flows", [(Flow.FREE, Flow.BOTH), pytest.param((Flow.IDLE, Flow.STALLED), marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    "core", [pytest.param(name, marks=[pytest.mark.slow] if name in MORE_CORES else []) for name in CORES]
)
def test_every_flow(core: str, flows: tuple[Flow, ...], small_simulator: str, equal_to_golden: EqualToGolden):
    for flow in flows:
        seed = list(Flow).index(flow)
        tensors = inputs(CORES[core], seed, keep=(0.1, 0.4, 0.7, 1)[seed])
        equal_to_golden(CORES[core], tensors, simulator=small_simulator, flow=flow, back_to_back=seed % 2 == 1)


def test_simulators_agree(simulators_agree: Callable[..., None]):
    simulators_agree(BASE, inputs(BASE, 9, keep=0.4))


def dense(config: LatteConfig) -> TensorFile:
    """Every key is kept."""
    tensors = from_arrays(random_trace(config, 4, 1, 1, 40, config.max_keys), config)
    return replace(tensors, tau_int=np.full_like(tensors.tau_int, HeadParams(config).widths.threshold_range[1]))


def test_dense_rows_take_half_a_cycle_per_kept_key(small_simulator: str, equal_to_golden: EqualToGolden):
    config = preset("tiny").replace(keys_per_cycle=4, max_keys=96, causal=False)
    per_query = {}
    for together in (1, 2):
        core = config.replace(kept_per_cycle=together)
        tensors = dense(core)
        got = equal_to_golden(core, tensors, simulator=small_simulator)
        (pace,) = head_paces(got, got["keep"], tensors.causal_offset, core)
        assert pace.within, pace
        per_query[together] = pace.cycles_per_query
    assert 96 <= per_query[1] <= 96 + 4
    assert 48 <= per_query[2] <= 48 + 4


@pytest.mark.parametrize(
    "keep", [pytest.param(0.15, marks=pytest.mark.slow), 0.25, pytest.param(0.4, marks=pytest.mark.slow)]
)
def test_pace_and_latency_where_both_arms_take_about_as_long(
    keep: float, small_simulator: str, equal_to_golden: EqualToGolden
):
    """Kept keys lie anywhere, one in this beat and three in that: they leave two by two all the same."""
    config = LatteConfig(head_dim=8, max_keys=256, causal=False, kept_per_cycle=2)
    tensors = from_arrays(random_trace(config, 3, 2, 1, 16, 256, keep), config)
    got = equal_to_golden(config, tensors, simulator=small_simulator)
    for pace in head_paces(got, got["keep"], tensors.causal_offset, config):
        assert pace.within, pace
