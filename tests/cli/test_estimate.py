"""`latte estimate`: its numbers, its words, its errors."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from golden.attention import attention
from golden.files.npz import save_npz
from golden.files.stimuli import random_trace
from golden.files.tensors import from_arrays
from latte_hw.cli import estimate as commands
from latte_hw.config import DenseConfig, LatteConfig, Reuse
from latte_hw.config.errors import LatteError
from latte_hw.config.presets import preset
from latte_hw.estimate import clock
from latte_hw.estimate.operations import operations_of_run, operations_per_cycle


def latte(*options: str) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    commands.register(app)
    return CliRunner().invoke(app, ["estimate", *options])


def test_json():
    found = json.loads(
        latte("--preset", "gpt2", "--keep", "0.1", "--queries", "256", "--clock", "200", "--json").stdout
    )
    assert found["pattern"]["queries"] == 256
    assert found["pattern"]["keep_ratio"] == pytest.approx(0.1, abs=0.01)
    assert "no data were looked at" in found["pattern"]["source"]
    cycles = found["cycles"]
    assert 100 < cycles["per_query"] < 132, (
        "the last 256 of 1024 causal queries: 112 beats in the mean, or the kept keys"
    )
    assert found["speed"]["queries_per_second"] == pytest.approx(200e6 / cycles["per_query"], rel=1e-3)
    assert found["memory"]["bits"] == sum(found["memory"]["blocks"].values())
    assert set(found["area"]) == {"ecp5-85k", "xc7"}
    assert found["area"]["xc7"]["dsp"] == 65


def test_it_takes_milliseconds():
    found = json.loads(latte("--preset", "minilm", "--queries", "64", "--json").stdout)
    assert found["milliseconds"] < 500


def test_tables_of_both_cores():
    shown = latte("--preset", "tiny", "--core", "dense", "--clock", "100").stdout
    assert "not estimated for the dense core" in shown
    assert "queries per second" in shown
    assert "LUT" in latte("--preset", "tiny").stdout


def test_results_instead_of_a_typical_pattern(tmp_path: Path):
    config = preset("tiny")
    results = attention(from_arrays(random_trace(config, 1, 2, 1, 12, 20), config), config)
    save_npz(tmp_path / "golden.files.npz", results)
    found = json.loads(latte("--results", str(tmp_path / "golden.files.npz"), "--json").stdout)
    assert found["pattern"]["heads"] == 2
    assert found["pattern"]["kept"] == results["counters"][:, 2].sum()
    assert len(found["cycles"]["heads"]) == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--queries", "33"), "--queries must be from 1 to 32, the most keys of the configuration, not 33"),
        (("--keys", "0"), "--keys must be from 1 to 32, the most keys of the configuration, not 0"),
        (("--keep", "2"), "the keep ratio must be above 0 and at most 1, not 2"),
        (("--clock", "0"), "--clock must be above 0 MHz, not 0"),
        (("--core", "top"), "latte estimate takes one head core: --core must be latte or dense, not top"),
    ],
)
def test_errors_are_one_sentence(options: tuple[str, str], sentence: str):
    result = latte("--preset", "tiny", *options)
    assert isinstance(result.exception, LatteError)
    assert str(result.exception) == sentence


def test_the_clock_on_record(tmp_path: Path):
    config = preset("tiny")
    record = {
        "core": "latte", "block": "head", "config_sha256": config.sha256(),
        "place_and_route": {"fmax_mhz_median": 123.4},
    }  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(record | {"block": "estimator"}))
    assert clock.on_record(config, tmp_path) is None
    (tmp_path / "b.json").write_text(json.dumps(record))
    assert clock.on_record(config, tmp_path) == (123.4, "b.json")
    assert clock.on_record(config.replace(heads=5), tmp_path) is None
    assert clock.on_record(DenseConfig.of(config), tmp_path) is None


def test_without_a_clock_it_says_so():
    assert "none is on record" in latte("--preset", "tiny", "--set", "heads=7").stdout.replace("\n", " ")


def test_operations_by_hand():
    config = LatteConfig(head_dim=64, keys_per_cycle=8)
    assert operations_per_cycle(config) == 64 * (8 + 2 + 4)
    assert operations_per_cycle(config.replace(reuse=Reuse.EXACT)) == 64 * (8 + 3 + 4)
    assert operations_per_cycle(config.replace(kept_per_cycle=2)) == 64 * (8 + 2 * (2 + 4))
    assert operations_per_cycle(DenseConfig.of(config).replace(queries_per_scan=2)) == 2 * 2 * 64 * 4
    assert operations_of_run(config, 100, 15) == 64 * (100 + 15 * 6)
    assert operations_of_run(DenseConfig.of(config), 100, 15) == 64 * 100 * 8
    assert operations_per_cycle(config.replace(msb_bits=2)) == 64 * (8 * 4 / 16 + 2 * 2 * 6 / 16 + 4)
