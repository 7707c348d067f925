"""`latte golden` and `latte vectors`."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import golden.commands
from golden.analysis.compare import check_equal
from golden.attention import attention
from golden.files.npz import read_npz
from golden.files.stimuli import random_trace
from golden.files.tensors import from_arrays, save_npz
from latte_hw.config.errors import LatteError
from latte_hw.config.presets import PRESETS

TINY = PRESETS["tiny"]


def run(*arguments: object) -> str:
    app = typer.Typer()
    golden.commands.register(app)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture
def trace_file(tmp_path: Path) -> Path:
    save_npz(tmp_path / "in.npz", random_trace(TINY, 0, 4, 2, 6, 8))
    return tmp_path / "in.npz"


def test_golden_writes_every_result(trace_file: Path) -> None:
    output = trace_file.with_name("out.npz")
    line = run("golden", trace_file, "-o", output)
    expected = attention(from_arrays(read_npz(trace_file), TINY), TINY)
    written = read_npz(output)
    assert written.keys() == expected.keys()
    check_equal(expected, written)
    seen, kept = expected["counters"][:, 0].sum(), expected["counters"][:, 2].sum()
    assert line.startswith(f"{output}: {kept} of {seen} keys kept ({kept / seen:.2%}), bit operations -")


def test_golden_uses_the_configuration(trace_file: Path) -> None:
    output = trace_file.with_name("out.npz")
    summary = json.loads(run("golden", trace_file, "-o", output, "--set", "causal=false", "--json"))
    assert summary["keys_seen"] == 4 * 6 * 8
    assert summary["file"] == str(output)
    assert summary["bit_operation_formula"].startswith("(16·valid + 96·kept)")


def test_golden_writes_nothing_on_bad_input(trace_file: Path) -> None:
    output = trace_file.with_name("out.npz")
    with pytest.raises(LatteError, match="head_dim 64 as configured, not 8"):
        run("golden", trace_file, "-o", output, "--preset", "gpt2")
    with pytest.raises(LatteError, match="does not exist; create it first"):
        run("golden", trace_file, "-o", trace_file.with_name("none") / "out.npz")
    with pytest.raises(LatteError, match="cannot be read: No such file"):
        run("golden", trace_file.with_name("none.npz"), "-o", output)
    assert [path.name for path in trace_file.parent.iterdir()] == ["in.npz"]


def test_vectors_from_a_seed(tmp_path: Path) -> None:
    arguments = ("--heads", 4, "--kv-heads", 2, "--tokens", 9, "--json")
    summary = json.loads(run("vectors", "-o", tmp_path / "a", "--seed", 3, *arguments))
    assert (summary["heads"], summary["kv_heads"], summary["queries"], summary["keys"]) == (4, 2, 9, 9)
    run("vectors", "-o", tmp_path / "b", "--seed", 3, *arguments)
    run("vectors", "-o", tmp_path / "c", "--seed", 4, *arguments)
    read = [(tmp_path / name / "desc.json").read_text() for name in "abc"]
    assert read[0] == read[1] != read[2]
    assert json.loads(read[0])["seed"] == 3


def test_vectors_from_a_file_and_from_a_corner(trace_file: Path, tmp_path: Path) -> None:
    run("vectors", trace_file, "-o", tmp_path / "a")
    np.testing.assert_array_equal(
        np.load(tmp_path / "a" / "out.npy"), attention(from_arrays(read_npz(trace_file), TINY), TINY)["out"]
    )
    assert json.loads((tmp_path / "a" / "desc.json").read_text())["seed"] is None
    run("vectors", "-o", tmp_path / "b", "--corner", "one_key")
    assert np.load(tmp_path / "b" / "k8.npy").shape == (1, 1, 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--corner", "edge"), "corner must be one of zero_rows, .*, not 'edge'"),
        (("--heads", "3", "--kv-heads", "2"), "heads must be a multiple of kv-heads = 2, not 3"),
        (("--tokens", "33"), "the trace has 33 tokens; no --preset given, so `tiny` .32 at most. was taken"),
    ],
)
def test_bad_vector_options(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(LatteError, match=message):
        run("vectors", "-o", tmp_path / "a", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_registering_commands_loads_nothing_heavy() -> None:
    heavy = {"numpy", "torch", "amaranth", "transformers"}
    program = f"import sys, golden.commands; print(sorted({heavy} & set(sys.modules)))"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
