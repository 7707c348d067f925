"""The dense core in Verilog: equal to its golden twin at every stage, exact in its cycles, clean, and told apart."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from golden.files.npz import read_npz
from golden.files.stimuli import CORNERS, random_trace
from golden.files.tensors import TensorFile, from_arrays
from latte_hw.cli import main as cli
from latte_hw.config import CoreConfig, DenseConfig, Dot
from latte_hw.config.errors import MismatchError
from latte_hw.config.presets import preset
from latte_hw.emit import head as emit
from latte_hw.params.dense import DenseParams
from sim.head import amaranth_bench
from sim.head.collect import Arrays
from sim.head.collect_dense import collect_dense
from sim.head.harness import HeadHarness
from sim.head.traffic import Traffic
from sim.lib.layout import Description, to_raw
from sim.lib.recording import Beats, Recording
from sim.lib.streams import Flow
from sim.simulators import runner, yosys_check

EqualToGolden = Callable[..., Arrays]

LATTE_TINY = preset("tiny")
TINY = DenseConfig.of(LATTE_TINY)
CORES = {
    "one": TINY,
    "two": TINY.replace(queries_per_scan=2, causal=False, dot=Dot.MULTIPLIERS, prob_bits=16, kv_buffers=1),
    "three": TINY.replace(queries_per_scan=3, head_dim=20, out_fraction_bits=8),
    "five": TINY.replace(queries_per_scan=5, prob_bits=4, max_keys=30),
    "eight": TINY.replace(queries_per_scan=8, causal=False, head_dim=12, out_fraction_bits=3, heads=1),
    "sixteen": TINY.replace(queries_per_scan=16, dot=Dot.MULTIPLIERS, prob_bits=11),
}
SLOW = {"five", "eight", "sixteen"}


# --- equal ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "core", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in CORES]
)
def test_every_flow(core: str, equal_to_golden: EqualToGolden):
    config = CORES[core]
    for seed, flow in enumerate(Flow):
        trace = random_trace(config, seed, 2, 1, 18, 21)
        equal_to_golden(config, trace, flow=flow, back_to_back=seed % 2 == 1)


@pytest.mark.parametrize("core", ["three", pytest.param("eight", marks=pytest.mark.slow)])
def test_simulators_agree(core: str, simulators_agree: Callable[..., None]):
    simulators_agree(CORES[core], random_trace(CORES[core], 9, 4, 2, 7, 11))


@pytest.mark.parametrize("flow", [Flow.FREE, Flow.BOTH])
@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("core", ["one", pytest.param("three", marks=pytest.mark.slow), "five"])
def test_corners(core: str, corner: str, flow: Flow, equal_to_golden: EqualToGolden):
    equal_to_golden(CORES[core], CORNERS[corner](CORES[core], 1), flow=flow)


@pytest.mark.parametrize("core", ["one", "five"])
def test_queries_without_a_key(core: str, equal_to_golden: EqualToGolden):
    trace = random_trace(CORES[core], 2, 2, 1, 9, 9) | {"causal_offset": np.array(-3)}
    got = equal_to_golden(CORES[core], trace)
    assert (got["out"][:, :3] == 0).all()
    assert got["out"][:, 3:].any(axis=2).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["smollm2-135m-by-1", "smollm2-135m-by-4"])
def test_the_real_trace(name: str, real_trace: Callable[[CoreConfig], TensorFile], equal_to_golden: EqualToGolden):
    """Nine heads of SmolLM2-135M, three on each K/V head, back to back and stalled, on a full-size core."""
    preset_name, _, b = name.rpartition("-by-")
    config = DenseConfig.of(preset(preset_name)).replace(queries_per_scan=int(b))
    equal_to_golden(config, real_trace(config), flow=Flow.BOTH, back_to_back=True)


# --- cycles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        pytest.param("smollm2-135m-by-1", 1024, marks=pytest.mark.slow),
        pytest.param("smollm2-135m-by-4", 1023, marks=pytest.mark.slow),
        pytest.param("minilm-by-4", 511, marks=pytest.mark.slow),
        ("tiny-by-4", 32),
    ],
)
def test_cycles_of_a_full_size_core(name: str, keys: int, equal_to_golden: EqualToGolden):
    """Every query sees every key, to the last key that fits: ceil(queries / B) · N and the documented constant."""
    preset_name, _, b = name.rpartition("-by-")
    config = DenseConfig.of(preset(preset_name)).replace(queries_per_scan=int(b))
    queries = 6 * int(b) - 1
    trace = random_trace(config, 3, 2, 1, queries, keys) | {"causal_offset": np.array(keys)}
    got = equal_to_golden(config, trace)
    blocks = -(-queries // int(b))
    assert (np.diff(got["query_cycles"][:, :: int(b)], axis=1) == keys).all()
    params = DenseParams.of(config)
    constant = params.job_latency(queries, [keys] * blocks) - blocks * keys
    assert (got["cycles"] - 1 == blocks * keys + constant).all()
    assert constant < keys + 150


# --- what is emitted --------------------------------------------------------------------------------------------------


def verilog_of(config: DenseConfig) -> str:
    """Without the header, which holds the configuration's hash."""
    return emit.to_verilog(emit.build_head(config)).split("\n", 2)[2]


def test_the_number_of_keys_is_any():
    assert verilog_of(TINY.replace(max_keys=29)) != verilog_of(TINY)
    assert verilog_of(TINY.replace(queries_per_scan=3)) != verilog_of(TINY.replace(queries_per_scan=2))


@pytest.mark.parametrize(
    "config", [pytest.param(LATTE_TINY, marks=pytest.mark.slow), LATTE_TINY.replace(head_dim=12, queries_per_scan=4)]
)
def test_ports_are_those_of_the_latte_core(config: CoreConfig, tmp_path: Path):
    latte, dense = (
        json.loads(emit.generate(one, tmp_path).description.read_text()) for one in (config, DenseConfig.of(config))
    )
    assert latte["ports"] == dense["ports"]
    assert (latte["top"], dense["top"]) == ("latte_head", "dense_head")


def test_one_row_of_k_and_one_of_v_whatever_the_block():
    for b in (1, 4):
        store = (
            verilog_of(TINY.replace(queries_per_scan=b)).split("module \\dense_head.store (")[1].split("endmodule")[0]
        )
        memories = re.findall(r"reg \[(\d+):0\] (\w+) \[(\d+):0\];", store)
        values = [("7", f"v_rows_{group}", "63") for group in range(8)]
        assert memories == [("63", "k_rows", "63"), *values]
        assert len(re.findall(r"<= k_rows\[", store)) == 1, "each is read once"
        assert len(re.findall(r"<= v_rows_\d\[", store)) == 8


@pytest.mark.parametrize("core", ["one", "five", pytest.param("sixteen", marks=pytest.mark.slow)])
def test_the_verilog_is_clean(core: str, tmp_path: Path):
    verilog = emit.generate(CORES[core], tmp_path).verilog
    assert verilog.name == "dense_head.v"
    assert runner.lint(verilog) == ""
    assert yosys_check.check(verilog, "dense_head") == ""


# --- the command line -------------------------------------------------------------------------------------------------


def latte(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["latte", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


def test_generate_and_simulate(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert latte("generate", "--core", "dense", "--set", "queries_per_scan=2", "-o", tmp_path) == 0
    assert json.loads((tmp_path / "dense_head.json").read_text())["config"]["queries_per_scan"] == 2
    np.savez(tmp_path / "in.npz", **random_trace(TINY, 1, 2, 1, 6, 9))
    options = ("--core", "dense", "--set", "queries_per_scan=2", "--flow", "both", "--simulator", "amaranth", "--json")
    capsys.readouterr()
    assert latte("simulate", tmp_path / "in.npz", "-o", tmp_path / "out.npz", *options) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["equal"], summary["core"], summary["pairs"]) == (True, "dense", 2 * 6 * 9)
    assert read_npz(tmp_path / "out.npz")["keep"].sum() == summary["counters"]["kept"]


@pytest.mark.parametrize("command", ["generate", "simulate"])
def test_an_unknown_core(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = [] if command == "generate" else [tmp_path / "in.npz"]
    assert latte(command, *arguments, "--core", "sparse", "-o", tmp_path / "out") == 2
    assert "'sparse' is not one of 'latte', 'dense'" in capsys.readouterr().err


# --- faults in a recording --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run() -> tuple[Recording, Description, Traffic]:
    config = TINY.replace(queries_per_scan=2)
    head = emit.build_head(config, taps=True)
    description = Description.from_json(emit.describe(head))
    traffic = Traffic.from_tensors(from_arrays(random_trace(config, 1, 2, 1, 5, 9), config))
    return amaranth_bench.run(head, HeadHarness(description, traffic)), description, traffic


def collect_altered(run: tuple[Recording, Description, Traffic], tap: str, change: Callable[[dict], object]) -> Arrays:
    recording, description, _ = run
    fields = description.ports[tap].unpack(recording.beats[tap].raw)
    change(fields)
    raw = to_raw(description.ports[tap].pack(fields), description.ports[tap].bytes)
    beats = recording.beats | {tap: Beats(raw, np.zeros(len(raw), np.int64))}
    return collect_dense(Recording(recording.cycles, recording.counters, beats, recording.accepted), *run[1:])


def drop(index: int) -> Callable[[dict], object]:
    return lambda fields: fields.update({name: np.delete(column, index, 0) for name, column in fields.items()})


def put(name: str, place: tuple[int, ...], value: int) -> Callable[[dict], object]:
    return lambda fields: fields[name].__setitem__(place, value)


FAULTS = {
    "lost end": ("tap_score", drop(-1), "tap_score: 5 blocks ended, not 6"),
    "lost key": ("tap_score", drop(0), "tap_score: head 0, query 0: left a key out: key 4"),
    "key left out": ("tap_score", put("kept", (2, 0), 0), "tap_score: head 0, query 0: left a key out: key 2"),
    "key not seen": ("tap_score", put("kept", (5, 0), 1), "query 0: delivered a key that it must not: key 5"),
    "weight not seen": ("tap_prob", put("probs", (5, 0), 1), "query 0: delivered a key that it must not: key 5"),
    "query that there is not": ("tap_score", put("kept", (-1, 1), 1), "tap_score: block 5 holds a query that there"),
}


def test_an_unaltered_recording(run: tuple[Recording, Description, Traffic]):
    assert collect_altered(run, "tap_score", lambda _: None)["keep"].sum() == 2 * (5 + 6 + 7 + 8 + 9)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_recording(fault: str, run: tuple[Recording, Description, Traffic]):
    tap, change, words = FAULTS[fault]
    with pytest.raises(MismatchError, match=words):
        collect_altered(run, tap, change)
