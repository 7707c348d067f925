"""`make soak`: what it runs, and that it ends at the first thing that is wrong, naming what repeats it."""

from collections import Counter
from itertools import product
from threading import Barrier, Event
from typing import Any

import pytest

from sim.reports import soak
from sim.top.transport import PACES


def test_every_configuration_meets_every_pair_of_paces_once() -> None:
    layers = soak.cases("layers")
    met = Counter((case.configuration, case.idle, case.stall) for case in layers)
    assert met == Counter(product(soak.CONFIGURATIONS, PACES, PACES))
    assert len({case.seed for case in layers}) >= 100
    assert sum(case.arguments["elements"] for case in layers) >= 1_000_000


def test_every_configuration_is_reset_at_every_pace() -> None:
    resets = soak.cases("resets")
    assert {(case.configuration, case.idle, case.stall) for case in resets} == {
        (name, pace, pace) for name in soak.CONFIGURATIONS for pace in PACES
    }
    assert sum(case.arguments["resets"] for case in resets) >= 1_000


def test_the_configurations_differ() -> None:
    for field in (
        "cores",
        "head_dim",
        "causal",
        "stream_bits",
        "reset",
        "kv_buffers",
        "rule",
        "split",
        "dot_choice",
        "reuse",
    ):
        assert len({getattr(config, field) for config in soak.CONFIGURATIONS.values()}) > 1, field
    assert {1, 2, 4} <= {config.cores for config in soak.CONFIGURATIONS.values()}


def test_the_first_mismatch_ends_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ran = []
    reported = Event()

    def run(case: soak.Case) -> dict:
        ran.append(case.seed)
        if case.seed > 2:
            reported.wait(10)
        assert case.seed != 2, "3 of 40 elements differ"
        return {"cycles": 1, "result": {}}

    def report(*words: object, **options: Any) -> None:
        print(*words, **options)
        if "is wrong" in str(words[0]):
            reported.set()

    monkeypatch.setattr(soak.Case, "run", run)
    monkeypatch.setattr(soak, "print", report, raising=False)
    monkeypatch.setattr(soak.top_runner, "verilog_of", str)
    with pytest.raises(SystemExit) as ended:
        soak.soak("layers", soak.cases("layers"))
    assert ended.value.code == 1
    assert ran in ([0, 1, 2], [0, 1, 2, 3])
    printed = capsys.readouterr().err
    assert "3 of 40 elements differ" in printed
    assert "python -m sim.reports.soak --layers 2" in printed


def test_several_workers_give_results_in_the_order_of_the_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    both = Barrier(2, timeout=10)  # nothing comes back unless two run at once

    def run(case: soak.Case) -> dict:
        both.wait()
        return {"cycles": case.seed, "result": {}}

    monkeypatch.setattr(soak.Case, "run", run)
    monkeypatch.setattr(soak.top_runner, "verilog_of", str)
    summaries = soak.soak("layers", soak.cases("layers")[:6], workers=2)
    assert [summary["cycles"] for summary in summaries] == list(range(6))


def test_the_figures_are_sums_over_the_seeds() -> None:
    layers = [{"cycles": 5, "seconds": 1.0, "result": {"elements": 7, "layers, causal": 1}}] * 3
    resets = [{"cycles": 4, "seconds": 1.0, "result": {"resets": 2, "moments": {"run": 2}, "kinds": {"hard": 3}}}] * 2
    found = soak.figures(layers, resets)
    assert (found["elements"], found["seeds"], found["cycles"]) == (21, 3, 23)
    assert found["counts"] == {"elements": 21, "layers, causal": 3}
    assert found["resets"]["recoveries"] == 4
    assert found["resets"]["kinds"] == {"hard": 6}
