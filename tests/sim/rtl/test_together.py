"""Two configurations under two names in one design, both running at once, each equal to golden."""

import shutil

import pytest

from latte_hw.config.errors import LatteError
from sim.top import together

needs_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus is not installed")


@pytest.mark.parametrize(
    "simulator",
    [pytest.param("icarus", marks=needs_icarus), pytest.param("icarus-2012", marks=needs_icarus), "verilator"],
)
def test_two_cores_run_together(simulator: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert together.main(simulator) == 0
    elements = {
        name: layer["heads"] * layer["n_queries"] * together.CORES[name].head_dim
        for name, layer in together.LAYERS.items()
    }
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        f"{name}: {count} output elements equal to golden" for name, count in elements.items()
    ]


@needs_icarus
def test_a_core_that_is_wrong_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right, wrong = ".s_axis_k_tdata(right_s_axis_k_tdata)", ".s_axis_k_tdata(right_s_axis_v_tdata)"
    verilog = together.design_of(together.CORES)
    assert verilog.count(right) == 1
    monkeypatch.setattr(together, "design_of", lambda _: verilog.replace(right, wrong))
    with pytest.raises(AssertionError, match=r"(?s)icarus, right_sim\.top\.layers.* elements differ"):
        together.run(together.CORES, together.LAYERS, "icarus")


def test_a_simulator_that_there_is_not_is_refused() -> None:
    with pytest.raises(LatteError, match="simulator must be one of verilator, icarus, icarus-2012, not 'vcs'"):
        together.run(together.CORES, together.LAYERS, "vcs")
