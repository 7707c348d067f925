"""The native simulator against the cocotb bench: the same beats in the same cycles, the same words when it hangs."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from golden.files.stimuli import random_trace
from golden.files.tensors import TensorFile, from_arrays
from latte_hw.config import CoreConfig, DenseConfig, Dot, LatteConfig
from latte_hw.config.errors import LatteError, MismatchError
from latte_hw.config.presets import preset
from latte_hw.emit import head as emit
from sim.head.collect import collect
from sim.head.harness import Options
from sim.head.traffic import Traffic
from sim.lib.layout import Description
from sim.lib.recording import Recording, first_difference_of
from sim.lib.streams import Flow
from sim.simulate import compare, expect, simulate
from sim.simulators import native, runner

Trace = Callable[..., TensorFile]

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


def emitted(folder: Path, config: CoreConfig, taps: bool = True) -> tuple[Path, Path]:
    files = emit.generate(config, folder, taps)
    return files.verilog, files.description


@pytest.fixture(scope="module")
def tiny_core(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return emitted(tmp_path_factory.mktemp("tiny"), preset("tiny"))


def assert_equal(got: Recording, expected: Recording) -> None:
    assert all(len(beats) for beats in expected.beats.values())
    assert first_difference_of(expected, got) is None


# --- equal to cocotb --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back_to_back", [False, True])
@pytest.mark.parametrize("flow", Flow)
def test_equal_recordings(flow: Flow, back_to_back: bool, tiny_core: tuple[Path, Path], trace: Trace):
    """More heads than table entries, so that entries are rewritten behind jobs."""
    traffic = Traffic.from_tensors(trace(heads=12, kv_heads=6, n_queries=20, n_keys=30))
    options = Options(flow=flow, seed=3, back_to_back=back_to_back)
    assert_equal(native.run(*tiny_core, traffic, options), runner.run(*tiny_core, traffic, options))


@pytest.mark.parametrize("flow", [pytest.param(Flow.FREE, marks=pytest.mark.slow), Flow.BOTH])
def test_equal_recordings_of_the_dense_core(flow: Flow, tmp_path: Path, small_simulator: str):
    config = preset("tiny").replace(queries_per_scan=2)
    core = emitted(tmp_path, DenseConfig.of(config))
    traffic = Traffic.from_tensors(from_arrays(random_trace(config, 2, 5, 5, 7, 20), config))
    options = Options(flow=flow, seed=4, back_to_back=flow is Flow.BOTH)
    under_cocotb = "verilator" if small_simulator == "native" else small_simulator
    assert_equal(native.run(*core, traffic, options), runner.run(*core, traffic, options, simulator=under_cocotb))


@pytest.mark.slow
@pytest.mark.parametrize("flow", [Flow.FREE, Flow.BOTH])
@pytest.mark.parametrize("name", ["smollm2-135m"])
def test_equal_recordings_of_a_full_size_core(name: str, flow: Flow, tmp_path: Path):
    config = preset(name)
    core = emitted(tmp_path, config)
    traffic = Traffic.from_tensors(from_arrays(random_trace(config, 1, 4, 2, 10, 1021), config))
    options = Options(flow=flow, seed=5, back_to_back=flow is Flow.BOTH)
    assert_equal(native.run(*core, traffic, options), runner.run(*core, traffic, options))


def test_queries_of_one_row_back_to_back(tiny_core: tuple[Path, Path], trace: Trace):
    """Two jobs may end within the cycles that the schedule leaves out, and every event is at once."""
    traffic = Traffic.from_tensors(trace(heads=30, kv_heads=30, n_queries=1, n_keys=1))
    options = Options(back_to_back=True, patience=500)
    assert_equal(native.run(*tiny_core, traffic, options), runner.run(*tiny_core, traffic, options))


def test_without_taps(trace: Trace, tiny: LatteConfig):
    tensors = trace(heads=6, kv_heads=3)
    got = simulate(tensors, tiny, simulator="native", taps=False, flow="both", seed=1, quick_build=True)
    assert "score" not in got
    assert compare(expect(tensors, tiny), got) is None


def test_two_designs_in_one_process(tiny_core: tuple[Path, Path], trace: Trace, tmp_path: Path, tiny: LatteConfig):
    """Each library keeps its model and its runtime to itself."""
    traffic = Traffic.from_tensors(trace())
    cores = {True: tiny_core, False: emitted(tmp_path, tiny, taps=False)}
    with_taps, without, again = (native.run(*cores[taps], traffic, Options()) for taps in (True, False, True))
    assert_equal(again, with_taps)
    assert without.beats.keys() == {"o_out"}
    assert np.array_equal(without.beats["o_out"].raw, with_taps.beats["o_out"].raw)


def test_slices_make_no_difference(tiny_core: tuple[Path, Path], trace: Trace, monkeypatch: pytest.MonkeyPatch):
    """A call that ends between two decisions, and draws that are made in other portions."""
    traffic, options = Traffic.from_tensors(trace(heads=8, kv_heads=8)), Options(flow=Flow.BOTH, seed=6)
    whole = native.run(*tiny_core, traffic, options)
    reported: list[int] = []
    monkeypatch.setattr(native, "SLICE_CYCLES", 7)
    assert_equal(native.run(*tiny_core, traffic, options, progress=reported.append), whole)
    assert reported == sorted(reported)
    assert reported[-1] == 8 * 6
    assert len(reported) >= whole.cycles // 7


# --- faults -----------------------------------------------------------------------------------------------------------


def words(act: Callable[[], object]) -> str:
    with pytest.raises(MismatchError) as raised:
        act()
    return str(raised.value).partition(": ")[2]


def test_a_hang_is_reported_in_the_same_words(tiny_core: tuple[Path, Path], trace: Trace):
    """Rows of V that are announced and never come."""
    traffic = Traffic.from_tensors(trace(heads=3, kv_heads=3))
    traffic, options = replace(traffic, v8=traffic.v8[:, :5]), Options(flow=Flow.BOTH, seed=2, patience=700)
    said = words(lambda: native.run(*tiny_core, traffic, options))
    assert said.startswith("nothing has moved for")
    assert "of 18 rows" in said
    assert said == words(lambda: runner.run(*tiny_core, traffic, options))


def test_the_cycle_limit_is_reported_in_the_same_words(tiny_core: tuple[Path, Path], trace: Trace):
    traffic = Traffic.from_tensors(trace(heads=40, kv_heads=40))
    options = Options(cycle_limit=600)
    said = words(lambda: native.run(*tiny_core, traffic, options))
    assert said.startswith("the limit of 600 cycles is passed; cycle 768: ")
    assert "i_k has" in said
    assert "(not accepted)" in said
    assert said == words(lambda: runner.run(*tiny_core, traffic, options))


def test_one_flipped_bit_of_the_verilog_is_caught(tmp_path: Path):
    """What runs is this text: the weight of a row's best key, half of what it was."""
    config = LatteConfig(head_dim=8, max_keys=8, keys_per_cycle=1, heads=2, dot=Dot.MULTIPLIERS)
    verilog, description = emitted(tmp_path, config)
    tensors = from_arrays(random_trace(config, 1, 3, 3, 5, 7), config)
    traffic, described = Traffic.from_tensors(tensors), Description.load(description)
    text = verilog.read_text()
    assert text.count("exp_table[0] = 13'h1fe0;") == 1
    verilog.write_text(text.replace("exp_table[0] = 13'h1fe0;", "exp_table[0] = 13'h0fe0;"))
    got = collect(native.run(verilog, description, traffic, Options()), described, traffic)
    difference = compare(expect(tensors, config), got)
    assert difference is not None
    assert difference.startswith("prob differs first at")


def test_a_loop_that_does_not_settle_ends_the_run_alone(tiny_core: tuple[Path, Path], trace: Trace, tmp_path: Path):
    """Verilator's fatal errors would end the process. A stand-in with the ports of the core oscillates."""
    description = Description.load(tiny_core[1])
    ports = ["input clk", "input rst"]
    for port in description.ports.values():
        here, back = ("input", "output") if port.direction == "in" else ("output", "input")
        valid, ready = f"{port.name}_valid", f"{port.name}_ready"
        ends = {"stream": [f"{here} {valid}", f"{back} {ready}"], "tap": [f"{here} {valid}"], "signal": []}[port.kind]
        payload = port.name if port.kind == "signal" else f"{port.name}_payload"
        ports += [*ends, f"{here} [{port.width - 1}:0] {payload}"]
    loop = "  assign i_q_ready = rst ? 1'b0 : ~i_q_ready;\n"
    (tmp_path / "loop.v").write_text(f"module latte_head({', '.join(ports)});\n{loop}endmodule\n")
    with pytest.raises(MismatchError, match=r"native: .*converge"):
        native.run(tmp_path / "loop.v", tiny_core[1], Traffic.from_tensors(trace()), Options())


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch, trace: Trace, tiny: LatteConfig):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LatteError, match="simulation needs `perl`, which is not on PATH"):
        simulate(trace(), tiny, simulator="native")
