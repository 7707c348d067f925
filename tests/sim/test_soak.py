"""`make soak`: what it runs, and that it ends at the first thing that is wrong, naming what repeats it."""

from collections import Counter
from itertools import product

import pytest

from sim import soak
from sim.top_transport import PACES


def test_every_configuration_meets_every_pair_of_hold_ups_once() -> None:
    layers = soak.cases("layers")
    met = Counter((case.configuration, case.idle, case.stall) for case in layers)
    assert met == Counter(product(soak.CONFIGURATIONS, PACES, PACES))
    assert len({case.seed for case in layers}) >= 100
    assert sum(case.arguments["elements"] for case in layers) >= 1_000_000


def test_every_configuration_is_reset_under_every_hold_up() -> None:
    resets = soak.cases("resets")
    assert {(case.configuration, case.idle, case.stall) for case in resets} == {
        (name, pace, pace) for name in soak.CONFIGURATIONS for pace in PACES
    }
    assert sum(case.arguments["resets"] for case in resets) >= 1_000


def test_the_configurations_differ() -> None:
    for field in ("cores", "head_dim", "causal", "stream_bits", "reset", "kv_buffers", "rule", "split", "dot", "reuse"):
        assert len({getattr(config, field) for config in soak.CONFIGURATIONS.values()}) > 1, field
    assert {1, 2, 4} <= {config.cores for config in soak.CONFIGURATIONS.values()}


def test_the_first_mismatch_ends_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ran = []

    def run(case: soak.Case) -> dict:
        ran.append(case.seed)
        assert case.seed != 2, "3 of 40 elements differ"
        return {"cycles": 1, "result": {}}

    monkeypatch.setattr(soak.Case, "run", run)
    with pytest.raises(SystemExit) as ended:
        soak.soak("layers", soak.cases("layers"))
    assert ended.value.code == 1
    assert ran[:3] == [0, 1, 2]
    told = capsys.readouterr().err
    assert "3 of 40 elements differ" in told
    assert "python -m sim.soak --layers 2" in told


def test_the_figures_are_sums_over_the_seeds() -> None:
    layers = [{"cycles": 5, "seconds": 1.0, "result": {"elements": 7, "layers, causal": 1}}] * 3
    resets = [{"cycles": 4, "seconds": 1.0, "result": {"resets": 2, "moments": {"run": 2}, "kinds": {"hard": 3}}}] * 2
    found = soak.figures(layers, resets)
    assert (found["elements"], found["seeds"], found["cycles"]) == (21, 3, 23)
    assert found["counts"] == {"elements": 21, "layers, causal": 3}
    assert found["resets"]["recoveries"] == 4
    assert found["resets"]["kinds"] == {"hard": 6}
