"""What ships is clean: Verilator's lint but for the listed waivers; no latch, loop or multiple driver for Yosys."""

from pathlib import Path

import pytest

from latte_hw.config import Dot, Reuse, Rule, Split
from latte_hw.config.errors import LatteError
from latte_hw.config.presets import preset
from latte_hw.emit import head as emit
from sim.simulators import runner, yosys_check

ROOT = Path(__file__).parents[3]
RTL_OUT = "rtl_out/tiny", "rtl_out/gpt2"
"""Committed; tests/emit/test_head.py holds it against what is emitted."""
OTHER = {
    "static-exact-M2": {"rule": Rule.STATIC, "reuse": Reuse.EXACT, "msb_bits": 2, "split": Split.TRUNCATE},
    "multipliers-M8-one-buffer": {"dot": Dot.MULTIPLIERS, "msb_bits": 8, "kv_buffers": 1, "causal": False},
    "pairs-of-kept-keys": {"kept_per_cycle": 2, "keys_per_cycle": 3, "max_keys": 33, "reuse": Reuse.EXACT},
    "pairs-one-key-per-cycle": {"kept_per_cycle": 2, "keys_per_cycle": 1, "kv_buffers": 1, "msb_bits": 8},
    "odd-one-key-per-cycle": {"head_dim": 12, "keys_per_cycle": 1, "max_keys": 5, "out_fraction_bits": 3, "heads": 1},
}


def shipped(name: str, folder: Path) -> Path:
    """A core without taps, as `latte generate` writes it."""
    if name in OTHER:
        return emit.generate(preset("tiny").replace(**OTHER[name]), folder).verilog
    return ROOT / name / "latte_head.v"


@pytest.mark.parametrize("name", [*RTL_OUT, *OTHER])
def test_the_verilog_is_clean(name: str, tmp_path: Path):
    """For Yosys `rtl_out/gpt2` only with the slow tests: it has no block that `tiny` has not."""
    verilog = shipped(name, tmp_path)
    assert runner.lint(verilog) == ""
    if name != "rtl_out/gpt2":
        assert yosys_check.check(verilog, emit.TOP) == ""


@pytest.mark.slow
def test_yosys_finds_nothing_in_a_full_size_core():
    assert yosys_check.check(ROOT / "rtl_out/gpt2/latte_head.v", emit.TOP) == ""


def test_the_waivers_are_few_and_have_reasons():
    assert len(runner.LINT_WAIVERS) <= 4
    assert all(len(reason.split()) >= 5 for reason in runner.LINT_WAIVERS.values())


# --- negative controls ------------------------------------------------------------------------------------------------

FAULTS = {
    "latch": ("always @* if (a) y = b; assign v = b;", "dlatch"),
    "loop through two modules": ("wire w; inverter one(y, w); inverter two(w, v); always @* y = v & a;", "logic loop"),
    "two drivers": ("always @(posedge a) y <= b; assign v = a; assign v = b;", "multiple conflicting drivers"),
    "missing module": ("absent one(a, v);", "absent"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_yosys_finds_a_fault(fault: str, tmp_path: Path):
    body, words = FAULTS[fault]
    verilog = tmp_path / "faulty.v"
    inverter = "module inverter(input a, output y); assign y = ~a; endmodule\n"
    verilog.write_text(f"{inverter}module top(input a, input b, output reg y, output v);\n  {body}\nendmodule\n")
    assert words in yosys_check.check(verilog, "top")
    verilog.write_text(verilog.read_text().replace(body, "always @* y = a; assign v = b;"))
    assert yosys_check.check(verilog, "top") == ""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("always @* if (a) y = b; assign v = a;", "LATCH"),
        ("always @* y = v; assign v = y ^ a;", "UNOPTFLAT"),
        ("always @(posedge a) y <= b; assign v = 2'd3;", "WIDTHTRUNC"),
        ("always @(posedge a) y <= b;", "UNDRIVEN"),
    ],
)
def test_verilator_lint_finds_a_fault(body: str, words: str, tmp_path: Path):
    verilog = tmp_path / "top.v"
    verilog.write_text(f"module top(input a, input b, output reg y, output v);\n  {body}\nendmodule\n")
    assert words in runner.lint(verilog)


def test_without_yosys_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LatteError, match="yosys is missing: install the extra `synth`"):
        yosys_check.check(Path("any.v"), "any")
