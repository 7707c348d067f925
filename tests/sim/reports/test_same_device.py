"""Both cores on one device: who is compared with whom, and that the commands named synthesise what is simulated."""

import itertools
import json
import shlex

import pytest

from latte_hw.config import Core
from latte_hw.config.errors import LatteError
from latte_hw.config.loading import resolve_config
from sim.reports import same_device
from sim.reports.results import FOLDER
from sim.reports.same_device import ENTRANTS, Entrant, ratios


@pytest.mark.parametrize("entrant", ENTRANTS, ids=lambda one: one.name)
def test_the_command_synthesises_what_is_simulated(entrant: Entrant):
    words = shlex.split(entrant.command)
    settings = [value for option, value in itertools.pairwise(words) if option == "--set"]
    assert words[words.index("--core") + 1] == entrant.core
    assert resolve_config(words[words.index("--preset") + 1], None, settings, core=entrant.core) == entrant.config
    assert entrant.config.max_keys >= same_device.KEYS


def test_ratios_are_of_what_both_sides_have():
    rows = [
        {"name": "a", "core": "latte", "cycles": 6.0},
        {"name": "b", "core": "latte", "cycles": None},
        {"name": "c", "core": "dense", "cycles": 2.0},
    ]
    assert ratios(rows, "cycles") == {"a / c": 3.0}


def test_results_on_record_are_of_these_entrants():
    record = json.loads((FOLDER / "same-device.json").read_text())
    assert [row["name"] for row in record["rows"]] == [entrant.name for entrant in ENTRANTS]
    assert [row["synthesis"] for row in record["rows"]] == [entrant.command for entrant in ENTRANTS]
    for figure in ("queries_per_cycle", "queries_per_second"):
        assert record["ratios"][figure] == ratios(record["rows"], figure)


def test_clocks_on_record_are_those_of_place_and_route():
    rows = json.loads((FOLDER / "same-device.json").read_text())["rows"]
    for row, entrant in zip(rows, ENTRANTS, strict=True):
        assert row["fmax_mhz"] == entrant.routed().get("fmax_mhz_median")
        assert row["utilisation"] == entrant.routed().get("utilisation_with_wrapper")


def test_a_clock_is_that_of_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path):
    entrant = Entrant("some", Core.LATTE, {})
    monkeypatch.setattr(same_device, "FOLDER", tmp_path)
    assert entrant.routed() == {}
    (tmp_path / "synth").mkdir()
    result = {"core": "latte", "config": entrant.config.model_dump(mode="json")}
    entrant.synthesis.write_text(json.dumps(result | {"place_and_route": {"fmax_mhz_median": 123.4}}))
    assert entrant.routed()["fmax_mhz_median"] == 123.4
    entrant.synthesis.write_text(json.dumps(result | {"core": "dense"}))
    with pytest.raises(LatteError, match="is not of the core and configuration of some"):
        entrant.routed()
