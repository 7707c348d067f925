"""Cycles per query and latency of full-size cores at P = 8, nobody holding anything up, against the promised bounds.

They run in the native simulator; cocotb judges the same cores in test_presets.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from golden.files.stimuli import random_trace
from golden.files.tensors import TensorFile, from_arrays
from latte_hw.config import LatteConfig
from latte_hw.config.presets import preset
from latte_hw.params import HeadParams
from sim.head.collect import Arrays
from sim.reports.measure import head_paces

EqualToGolden = Callable[..., Arrays]
CORES = (pytest.param("gpt2", marks=pytest.mark.slow), "deit-b16-384")

SLACK = 4
LONGEST_PREPARATION = 16
LOOSEST_LATENCY = 12
"""Cycles, beside one scan of the keys, by which the formula may exceed what a single dense query takes."""


def promised_cycles(keep: np.ndarray, causal: bool, causal_offset: int, lanes: int, preparation: int) -> np.ndarray:
    """max(⌈valid / P⌉, kept, F) + 4 of every query, written down here once more, from the keep mask alone."""
    _, queries, keys = keep.shape
    valid = np.clip(np.arange(queries) + causal_offset + 1, 0, keys) if causal else np.full(queries, keys)
    return np.maximum(np.maximum(-(-valid // lanes), keep.sum(axis=2)), preparation) + SLACK


def check_pace(config: LatteConfig, tensors: TensorFile, got: Arrays) -> None:
    """Both the formula above and `sim.reports.measure`, which reports use, hold for every head; and they agree."""
    assert config.keys_per_cycle == 8
    preparation = HeadParams(config).scan_dot.prepare_cycles
    assert preparation <= LONGEST_PREPARATION
    promised = promised_cycles(got["keep"], config.causal, tensors.causal_offset, config.keys_per_cycle, preparation)
    paces = head_paces(got, got["keep"], tensors.causal_offset, config)
    for head, pace in enumerate(paces):
        measured = np.diff(got["query_cycles"][head]).mean()
        assert measured <= promised[head, 1:].mean(), f"head {head}"
        assert pace.cycles_per_query == pytest.approx(measured)
        assert pace.bound == pytest.approx(promised[head, 1:].mean())
        assert pace.within, f"head {head}: {pace}"


@pytest.mark.slow
@pytest.mark.parametrize("name", CORES)
def test_the_real_trace(
    name: str, real_trace: Callable[[LatteConfig], TensorFile], equal_to_golden: EqualToGolden
) -> None:
    config = preset(name)
    tensors = real_trace(config)
    got = equal_to_golden(config, tensors)
    assert got["keep"].shape[1] >= 64
    check_pace(config, tensors, got)


@pytest.mark.parametrize("keys", [1, 8, 40, 120])
@pytest.mark.parametrize("name", CORES)
def test_few_keys_where_the_preparation_limits(name: str, keys: int, equal_to_golden: EqualToGolden) -> None:
    """⌈valid / P⌉ ≤ 15 and fewer than 16 kept: the tables of the next query are what takes longest."""
    config = preset(name)
    trace = random_trace(config, 3, 2, 1, 128, keys, keep=0.05) | {"causal_offset": np.array(keys)}
    got = equal_to_golden(config, trace)
    assert np.median(got["keep"].sum(axis=2)) < LONGEST_PREPARATION
    check_pace(config, from_arrays(trace, config), got)


@pytest.mark.parametrize("name", CORES)
def test_dense_rows_where_the_kept_keys_limit(name: str, equal_to_golden: EqualToGolden) -> None:
    config = preset(name)
    tensors = dense(from_arrays(random_trace(config, 4, 1, 1, 64, 200), config), config)
    got = equal_to_golden(config, tensors)
    assert got["keep"].sum() == got["counters_total"][0], "every valid key is kept"
    check_pace(config, tensors, got)


@pytest.mark.parametrize("keys", [1, 13, 200, 501])
@pytest.mark.parametrize("name", CORES)
def test_latency_of_a_single_query(name: str, keys: int, equal_to_golden: EqualToGolden) -> None:
    """Heads of one query each, the core drained in between, from the ties for the best alone to every key."""
    config = preset(name)
    params = HeadParams(config)
    thresholds = np.array([0, *(2 ** np.arange(2, 13)), params.widths.threshold_range[1]])
    tensors = from_arrays(random_trace(config, 5, len(thresholds), 1, 1, keys), config)
    got = equal_to_golden(config, replace(tensors, tau_int=thresholds))
    kept = got["keep"].sum(axis=2)[:, 0]
    assert kept[0] <= 2
    assert kept[-1] == keys
    latency = (got["query_cycles"] - got["query_start"])[:, 0]
    bound = np.array([params.bounds.query_latency(keys, int(count)) for count in kept])
    assert (latency <= bound).all(), f"kept {kept}: {latency} cycles, promised {bound}"
    assert latency[-1] >= bound[-1] - params.widths.beats(keys) - LOOSEST_LATENCY, (
        f"dense: {latency[-1]} cycles, promised {bound[-1]}"
    )


def dense(tensors: TensorFile, config: LatteConfig) -> TensorFile:
    greatest = HeadParams(config).widths.threshold_range[1]
    return replace(tensors, tau_int=np.full_like(tensors.tau_int, greatest))
