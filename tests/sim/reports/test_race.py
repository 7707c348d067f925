"""The race of LATTE against the dense core, on a small scale: who is counted how, and bounds that must hold."""

import pytest

from golden.files.stimuli import random_trace
from golden.files.tensors import from_arrays
from latte_hw.config import DenseConfig, LatteConfig, Reuse
from sim.reports.race import against, fitting, operations, race

SMALL = LatteConfig(head_dim=8, max_keys=60, keys_per_cycle=2, causal=False, heads=1)


def test_operations_count_every_multiplier():
    config = LatteConfig(keys_per_cycle=8)
    assert operations(config) == 64 * (8 + 2 + 4)
    assert operations(config.replace(reuse=Reuse.EXACT)) == 64 * (8 + 3 + 4)
    assert operations(DenseConfig.of(config)) == 2 * 64 * 4
    shared = config.replace(queries_per_scan=3)
    assert operations(shared) == 3 * operations(config)
    assert operations(DenseConfig.of(shared)) == 3 * operations(DenseConfig.of(config))


def test_room_for_keys_is_a_multiple_of_the_lanes():
    assert fitting(SMALL, 50, keys_per_cycle=7).max_keys == 56
    assert fitting(SMALL, 50).max_keys == 50


@pytest.mark.parametrize("shared", [1, 2])
def test_the_dense_core_takes_one_cycle_per_key(small_simulator: str, shared: int):
    config = DenseConfig.of(SMALL).replace(max_keys=40, queries_per_scan=shared)
    tensors = from_arrays(random_trace(config, 2, 1, 1, 8, 40), config)
    run = race(tensors, config, small_simulator)
    assert run.queries_per_cycle == pytest.approx(shared / 40)
    assert run.pruned == 0


def test_pruning_wins_by_less_than_its_bound(small_simulator: str):
    config = fitting(SMALL, 60, keys_per_cycle=2)
    tensors = random_trace(config, 3, 1, 1, 16, 60, keep=0.2)
    dense_config = DenseConfig.of(SMALL).replace(max_keys=60)
    dense = race(from_arrays(tensors, dense_config), dense_config, small_simulator)
    row = against(dense, race(from_arrays(tensors, config), config, small_simulator))
    kept = 1 - row["latte"]["pruned"]
    assert 0.1 < kept < 0.3
    assert row["bound"] == pytest.approx(512 / (64 + kept * 384))
    assert 1 < row["ratio"] < row["bound"]
