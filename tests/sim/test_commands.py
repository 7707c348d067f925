"""`latte simulate`: what it prints and writes, and its exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

import golden.attention
import sim.commands
from golden.attention import attention
from golden.files.stimuli import random_trace
from golden.files.tensors import load
from latte_hw.config import LatteConfig
from latte_hw.config.errors import LatteError, MismatchError


@pytest.fixture
def tensors(tiny: LatteConfig, tmp_path: Path) -> Path:
    np.savez(tmp_path / "in.npz", **random_trace(tiny, 1, 2, 1, 6, 9))
    return tmp_path / "in.npz"


@pytest.fixture
def latte(tensors: Path, tmp_path: Path) -> Callable[..., Result]:
    app = typer.Typer()
    app.callback()(lambda: None)
    sim.commands.register(app)

    def invoke(*options: str) -> Result:
        return CliRunner().invoke(
            app, ["simulate", str(tensors), "-o", str(tmp_path / "out.npz"), "--simulator", "amaranth", *options]
        )

    return invoke


def test_equal(latte: Callable[..., Result], tensors: Path, tmp_path: Path, tiny: LatteConfig):
    result = latte("--flow", "both", "--seed", "3")
    assert result.exit_code == 0, result.output
    assert "2 heads x 6 queries x 9 keys equal the golden model at every stage (108 pairs" in result.stdout
    with np.load(tmp_path / "out.npz") as written:
        for name, array in attention(load(tensors, tiny), tiny).items():
            assert written[name].dtype == array.dtype, name
            assert (written[name] == array).all(), name


def test_json(latte: Callable[..., Result], tiny: LatteConfig):
    summary = json.loads(latte("--json").stdout)
    assert summary["equal"] is True
    assert summary["pairs"] == 2 * 6 * 9
    assert summary["config_sha256"] == tiny.sha256()
    assert len(summary["cycles"]) == 2


def test_a_difference_is_reported_and_the_result_written(
    latte: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def wrong(*arguments):
        expected = attention(*arguments)
        expected["score"][1, 3, 0] += 1
        return expected

    monkeypatch.setattr(golden.attention, "attention", wrong)
    result = latte()
    assert isinstance(result.exception, MismatchError)
    assert "score differs first at head 1, query 3, key 0" in str(result.exception)
    assert (tmp_path / "out.npz").exists()


def test_an_output_folder_that_is_missing_is_said_before_the_work(latte: Callable[..., Result]):
    result = latte("-o", "no/such/folder/out.npz")
    assert isinstance(result.exception, LatteError)
    assert "does not exist" in str(result.exception)
