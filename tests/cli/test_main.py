"""The `latte` command as people call it: exit codes, one sentence on standard error, nothing written on bad input."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import golden.attention
import golden.dense  # takes `attention` when it is first imported: not the wrong one of a test below
from golden.files.npz import read_npz
from golden.files.stimuli import random_trace
from latte_hw.cli import main as cli
from latte_hw.config.presets import preset

TINY = preset("tiny")
Latte = Callable[..., tuple[int, str, str]]


@pytest.fixture
def latte(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Latte:
    """Runs the command line in this process; exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["latte", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), *capfd.readouterr()

    return run


@pytest.fixture
def trace_file(tmp_path: Path) -> Path:
    np.savez(tmp_path / "in.npz", **trace())
    return tmp_path / "in.npz"


def trace() -> dict[str, np.ndarray]:
    return random_trace(TINY, 1, 2, 1, 6, 9)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- good input -------------------------------------------------------------------------------------------------------


def test_from_the_trace_to_equal_results(latte: Latte, trace_file: Path, tmp_path: Path):
    """The four commands in turn, each with exit code 0 and nothing on standard error."""
    for command in (
        ("generate", "-o", tmp_path / "rtl"),
        ("golden", trace_file, "-o", tmp_path / "golden.files.npz"),
        ("simulate", trace_file, "-o", tmp_path / "rtl.npz", "--flow", "both"),
        ("vectors", trace_file, "-o", tmp_path / "vectors"),
    ):
        code, output, errors = latte(*command)
        assert (code, errors) == (0, ""), command
        assert output, command
    expected, got = read_npz(tmp_path / "golden.files.npz"), read_npz(tmp_path / "rtl.npz")
    for name, array in expected.items():
        assert got[name].dtype == array.dtype, name
        assert np.array_equal(got[name], array), name
    assert np.array_equal(np.load(tmp_path / "vectors" / "out.npy"), got["out"])
    description = json.loads((tmp_path / "rtl" / "latte_head.json").read_text())
    assert json.loads((tmp_path / "vectors" / "desc.json").read_text())["config_sha256"] == description["config_sha256"]


def test_the_top_is_generated_with_its_registers(latte: Latte, tmp_path: Path):
    code, output, errors = latte("generate", "--core", "top", "--set", "cores=2", "--json", "-o", tmp_path / "rtl")
    assert (code, errors) == (0, "")
    summary = json.loads(output)
    assert (summary["core"], summary["config"]["cores"]) == ("top", 2)
    written = {summary["verilog"], summary["description"], *summary["others"]}
    assert set(files(tmp_path / "rtl")) == written
    again = tmp_path / "again"
    assert latte("generate", "--core", "top", "--config", summary["description"], "-o", again)[0] == 0
    assert (again / "latte_top.v").read_bytes() == Path(summary["verilog"]).read_bytes()


def test_a_dense_core_has_a_configuration_of_its_own(latte: Latte, tmp_path: Path):
    """With any number of keys, and the file that describes it makes it again."""
    arguments = ("generate", "--core", "dense", "--set", "max_keys=29", "--json", "-o", tmp_path / "rtl")
    code, output, errors = latte(*arguments)
    assert (code, errors) == (0, "")
    summary = json.loads(output)
    assert (summary["core"], summary["config"]["max_keys"]) == ("dense", 29)
    assert "keys_per_cycle" not in summary["config"]
    again = tmp_path / "again"
    described = ("generate", "--core", "dense", "--config", summary["description"], "-o", again)
    assert latte(*described)[0] == 0
    assert (again / "dense_head.v").read_bytes() == Path(summary["verilog"]).read_bytes()
    sentence = "latte: keys_per_cycle belongs to the latte core; the dense core has no estimate\n"
    assert latte(*described, "--set", "keys_per_cycle=4") == (2, "", sentence)


def test_where_the_top_is_not_supported_one_sentence_says_so(latte: Latte, trace_file: Path, tmp_path: Path):
    for name, arguments in (
        ("simulate", (trace_file, "-o", tmp_path / "out" / "rtl.npz")),
        ("synth", ("--target", "generic", "-o", tmp_path / "out")),
    ):
        code, output, errors = latte(name, *arguments, "--core", "top")
        sentence = f"latte: latte {name} takes one head core: --core must be latte or dense, not top\n"
        assert (code, output, errors) == (2, "", sentence)
    assert not (tmp_path / "out").exists()


def test_the_console_script(trace_file: Path, tmp_path: Path):
    script = Path(sys.executable).with_name("latte")
    command = [script, "golden", trace_file, "-o", tmp_path / "out.npz", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["file"] == str(tmp_path / "out.npz")
    done = subprocess.run([*command, "--preset", "gpt3"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("latte: preset must be one of tiny, ")


# --- a mismatch -------------------------------------------------------------------------------------------------------


def test_a_mismatch_is_exit_code_1(latte: Latte, trace_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    right = golden.attention.attention

    def wrong(*arguments):
        results = right(*arguments)
        results["out"][1, 2, 3] ^= 1
        return results

    monkeypatch.setattr(golden.attention, "attention", wrong)
    command = ("simulate", trace_file, "-o", tmp_path / "out.npz", "--simulator", "amaranth")
    code, output, errors = latte(*command)
    assert (code, output) == (1, "")
    assert "out differs first at head 1, query 2, dimension 3: expected " in errors
    assert errors.count("\n") == 1
    code, output, _ = latte(*command, "--json")
    assert code == 1
    assert json.loads(output)["equal"] is False


# --- bad input --------------------------------------------------------------------------------------------------------

BALANCED_MAX = 119


def as_int8(value: int = 1, **changes: np.ndarray) -> dict[str, np.ndarray]:
    """The trace with int8 tensors full of `value`, and with scales."""
    arrays = trace()
    tensors = {name: np.full_like(arrays[name], value, dtype=np.int8) for name in "qkv"}
    scales = {f"scale_{name}": np.ones(len(arrays[name]), np.float32) for name in "qkv"}
    return arrays | tensors | scales | changes


def without(arrays: dict[str, np.ndarray], *names: str) -> dict[str, np.ndarray]:
    return {name: array for name, array in arrays.items() if name not in names}


BAD_TENSORS = {
    "flat q": (lambda: trace() | {"q": trace()["q"][0]}, "q must have shape (heads, tokens, head_dim)"),
    "k unlike v": (lambda: trace() | {"v": trace()["v"][:, 1:]}, "k and v must have the same shape"),
    "heads that do not divide": (
        lambda: trace() | {name: trace()[name].repeat(3, axis=0) for name in "kv"},
        "the number of query heads must be a multiple of the 3 K/V heads, not 2",
    ),
    "another head_dim": (
        lambda: trace() | {"q": trace()["q"][..., :4]},
        "q has head_dim 4; no --preset given, so `tiny` (8) was taken",
    ),
    "too many keys": (
        lambda: trace() | {name: trace()[name].repeat(4, axis=1) for name in "kv"},
        "k has 36 tokens; no --preset given, so `tiny` (32 at most) was taken",
    ),
    "NaN": (lambda: trace() | {"k": np.full_like(trace()["k"], np.nan)}, "k must be finite, but holds NaN"),
    "infinity": (lambda: trace() | {"v": np.full_like(trace()["v"], np.inf)}, "v must be finite, but holds infinity"),
    "float64": (lambda: trace() | {"q": trace()["q"].astype(float)}, "q must be float32 or int8, not float64"),
    "no v": (lambda: without(trace(), "v"), "tensor file has no array 'v'"),
    "no threshold": (lambda: without(trace(), "tau"), "tensor file has neither tau nor tau_int"),
    "int8 without scales": (lambda: without(as_int8(), "scale_k"), "k is int8, so the file must also hold scale_k"),
    "int8 beyond balanced": (lambda: as_int8(BALANCED_MAX + 1), f"{BALANCED_MAX}"),
    "negative threshold": (
        lambda: trace() | {"tau": np.array([1, -0.5], np.float32)},
        "tau must be 0 or more for the differential rule, not -0.5",
    ),
    "a threshold too few": (lambda: trace() | {"tau": trace()["tau"][:1]}, "tau must have shape (2,), one per head"),
}

BAD_OPTIONS = {
    "unknown preset": (["--preset", "gpt3"], "preset must be one of tiny, "),
    "head_dim": (["--set", "head_dim=66"], "head_dim must be a multiple of 4 from 8 to 128, not 66"),
    "banks": (["--set", "max_keys=33"], "max_keys must be a multiple of keys_per_cycle, because K lies in 2 banks"),
    "unknown field": (["--set", "dims=3"], "configuration field must be one of head_dim, "),
    "no such option": (["--fast"], "No such option"),
}


def refused(result: tuple[int, str, str], sentence: str) -> None:
    """Exit code 2, nothing on standard output, one line on standard error that says so."""
    code, output, errors = result
    assert (code, output) == (2, ""), errors
    assert errors.startswith("latte: ")
    assert sentence in errors
    assert errors.count("\n") == 1, "one sentence"


@pytest.mark.parametrize("command", ["golden", "simulate", "vectors"])
@pytest.mark.parametrize("bad", BAD_TENSORS)
def test_bad_tensors(command: str, bad: str, latte: Latte, tmp_path: Path):
    make, sentence = BAD_TENSORS[bad]
    np.savez(tmp_path / "in.npz", **make())
    before = files(tmp_path)
    refused(latte(command, tmp_path / "in.npz", "-o", tmp_path / "out.npz"), sentence)
    assert files(tmp_path) == before


def test_int8_up_to_127_is_for_the_truncating_split(latte: Latte, tmp_path: Path):
    np.savez(tmp_path / "in.npz", **as_int8(BALANCED_MAX + 1))
    code, _, errors = latte("golden", tmp_path / "in.npz", "-o", tmp_path / "out.npz", "--set", "split=truncate")
    assert (code, errors) == (0, "")


@pytest.mark.parametrize("command", ["generate", "golden", "simulate", "vectors"])
@pytest.mark.parametrize("bad", BAD_OPTIONS)
def test_bad_options(command: str, bad: str, latte: Latte, trace_file: Path, tmp_path: Path):
    options, sentence = BAD_OPTIONS[bad]
    arguments = [] if command == "generate" else [trace_file]
    before = files(tmp_path)
    refused(latte(command, *arguments, "-o", tmp_path / "out", *options), sentence)
    assert files(tmp_path) == before


@pytest.mark.parametrize("command", ["golden", "simulate", "vectors"])
@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut off", b"no archive at all", "cut in two"])
def test_a_file_that_is_missing_or_corrupt(
    command: str, content: bytes | str | None, latte: Latte, trace_file: Path, tmp_path: Path
):
    if content == "cut in two":
        content = trace_file.read_bytes()[: trace_file.stat().st_size // 2]
    trace_file.unlink() if content is None else trace_file.write_bytes(content)
    before = files(tmp_path)
    sentence = "No such file" if content is None else "is not a readable .npz archive"
    refused(latte(command, trace_file, "-o", tmp_path / "out.npz"), sentence)
    assert files(tmp_path) == before


@pytest.mark.parametrize("command", ["generate", "golden", "simulate", "vectors"])
def test_an_output_folder_that_cannot_be_written(command: str, latte: Latte, trace_file: Path, tmp_path: Path):
    arguments = [] if command == "generate" else [trace_file]
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "locked").mkdir(mode=0o555)
    before = files(tmp_path)
    folders = [tmp_path / "file"]
    if os.geteuid():  # nothing is locked for root
        folders.append(tmp_path / "locked")
    for folder in folders:
        refused(latte(command, *arguments, "-o", folder / "out"), f"output folder {folder}")
    assert files(tmp_path) == before
