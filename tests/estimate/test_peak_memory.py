"""A long head is estimated in a fraction of the memory that all of its pairs take."""

import subprocess
import sys
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from latte_hw.config import CoreConfig, DenseConfig, LatteConfig, Rule
from latte_hw.estimate.cycles import cycles_of
from latte_hw.estimate.pattern import quantile, typical
from latte_hw.estimate.queues import NEVER_BINDS, History

LONG = LatteConfig(head_dim=64, max_keys=4096, keys_per_cycle=16, causal=True)
MIB = 2**20


def peak_mib(work: Callable[[], object]) -> float:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / MIB
    finally:
        tracemalloc.stop()


def test_peak_of_a_pattern() -> None:
    """1024 queries have 4 million pairs; a number for each takes 32 MiB, and several used to be held."""
    assert peak_mib(lambda: typical(LONG, 1024, 4096, 0.15)) < 20


@pytest.mark.parametrize("kind", [LatteConfig, DenseConfig])
def test_peak_of_the_cycles(kind: type[CoreConfig]) -> None:
    """120 queries that keep all of 4096 keys: a time of each in every queue took 20 MiB."""
    config = LONG.replace(keys_per_cycle=1)
    pattern = typical(config, 120, 4096, 1)
    chosen = config if kind is LatteConfig else DenseConfig.of(config)
    assert peak_mib(lambda: cycles_of(pattern, chosen)) < 5


@pytest.mark.slow
@pytest.mark.parametrize(("lanes", "before"), [(16, 532), (1, 932)])
def test_the_command_takes_a_third_of_what_it_took(lanes: int, before: int) -> None:
    """MiB of `latte estimate` of 4,096 queries when it held every pair. The child reports its own high-water mark: what
    the system reports of a child may be its parent's."""
    options = ["estimate", "--preset", "long-4096", "--queries", "4096", "--set", f"keys_per_cycle={lanes}", "--json"]
    child = (
        "import pathlib, re, sys; from typer.testing import CliRunner; import typer; "
        "from latte_hw.cli import estimate as commands; app = typer.Typer(); app.callback()(lambda: None); "
        "commands.register(app); result = CliRunner().invoke(app, sys.argv[1:]); assert result.exit_code == 0, result; "
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', pathlib.Path('/proc/self/status').read_text())[1])"
    )
    run = subprocess.run([sys.executable, "-c", child, *options], capture_output=True, text=True, check=True)
    assert int(run.stdout) / 1024 < before / 3


def test_a_history_forgets_what_is_out_of_reach() -> None:
    history = History(3)
    assert history[-3] == NEVER_BINDS
    for item in range(0, 100_000, 50):
        history.set(item, np.arange(item, item + 50))
        assert history[item + 49] == item + 49
        assert history.part(item, item + 2, 3).tolist() == [
            NEVER_BINDS if number < 0 else number for number in (item - 3, item - 2)
        ]
        assert (history.part(item + 50, item + 60) == NEVER_BINDS).all(), "still to come"
    with pytest.raises(IndexError, match="item 0 is no longer held: the oldest one is"):
        history[0]


@pytest.mark.parametrize("share", [1e-9, 0.02, 1 / 3, 0.5, 0.85, 0.999, 1])
@pytest.mark.parametrize("width", [1e-6, 1, 40])
def test_a_quantile_of_blocks_is_numpys(share: float, width: float) -> None:
    values = width * np.random.default_rng(3).standard_normal(10_007)
    blocks = np.array_split(values, 23)
    assert quantile(lambda: blocks, share) == np.quantile(values, share)
    assert quantile(lambda: [values[:1]], share) == values[0]
    ties = np.repeat(values[:5], 100)
    assert quantile(lambda: [ties], share) == np.quantile(ties, share)


@pytest.mark.parametrize("rule", Rule)
def test_blocks_of_queries_change_nothing(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    config = LONG.replace(max_keys=160, rule=rule)
    whole = typical(config, 150, 160, 0.2)
    monkeypatch.setattr("latte_hw.estimate.pattern.BLOCK_QUERIES", 7)
    parts = typical(config, 150, 160, 0.2)
    assert (whole.survives == parts.survives).all()
    assert (whole.kept == parts.kept).all()
