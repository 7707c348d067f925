"""`latte synth` through the real tools, and what it says when they are missing or fail."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from latte_hw.cli import main as cli
from latte_hw.config.errors import LatteError
from latte_hw.config.presets import preset
from latte_hw.synth import checks, pages, script, tools
from latte_hw.synth.flow import Job, synthesise
from latte_hw.synth.targets import TARGETS

ROOT = Path(__file__).parents[2]
ECP5 = TARGETS["ecp5-85k"]


def latte(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *arguments: object):
    monkeypatch.setattr(sys, "argv", ["latte", "synth", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0), *capfd.readouterr()


def check_verilog(folder: Path, body: str) -> tuple[list[checks.Problem], dict[str, str]]:
    """Problems that the counting script finds in a module of that body, and where its memories went."""
    ports = "input clk, input a, input [9:0] p, input [9:0] r, input [31:0] d, output reg [31:0] q, output y"
    (folder / "t.v").write_text(f"module t({ports});\n{body}\nendmodule\n")
    (folder / "run.ys").write_text(script.counting_script(ECP5, "t.v", "t", True))
    log = tools.run(tools.YOSYS, ["-s", "run.ys"], folder, [script.STAT_FILE])
    found = checks.structural((folder / script.CHECK_FILE).read_text(), (folder / script.LATCH_FILE).read_text())
    places = checks.places_of(log)
    return found + checks.misplaced(checks.memories_of((folder / script.MEMORY_FILE).read_text()), places, ECP5), places


def test_a_block_through_place_and_route(monkeypatch, capfd, tmp_path: Path):
    """The whole way, as `test_tiny_through_place_and_route` goes it, with the smallest block that multiplies."""
    out = tmp_path / "out"
    options = ("--target", "ecp5-85k", "--place-and-route", "--trim", "--seeds", "2", "-o", out, "--json")
    code, output, errors = latte(monkeypatch, capfd, "--preset", "tiny", "--block", "softmax", *options)
    assert code == 0, errors
    result = json.loads(output)
    assert result == json.loads((out / "synth.json").read_text())
    assert not [problem for problem in result["problems"] if problem["wrong"]]
    assert result["total"]["dsp"] == 1, "the upper bits of a distance are multiplied in LUTs"
    (seed,) = result["place_and_route"]["seeds"]
    assert 30 < seed["fmax_mhz"] < 600
    assert seed["slow_ends"][0]["delay_ns"] == pytest.approx(1e3 / seed["fmax_mhz"], abs=0.01)
    assert result["place_and_route"]["utilisation_with_wrapper"]["TRELLIS_COMB"]["used"] > result["total"]["lut"]
    assert "| softmax |" in (out / "synth.md").read_text()


@pytest.mark.slow
def test_tiny_through_place_and_route(monkeypatch, capfd, tmp_path: Path):
    out = tmp_path / "out"
    options = ("--target", "ecp5-85k", "--place-and-route", "--trim", "--seeds", "1", "-o", out, "--json")
    code, output, errors = latte(monkeypatch, capfd, "--preset", "tiny", *options)
    assert code == 0, errors
    assert errors.splitlines()[0].startswith("1/7 emit Verilog  ")
    result = json.loads(output)
    assert result == json.loads((out / "synth.json").read_text())
    assert str(tmp_path) not in output
    names = {module["module"] for module in result["modules"]}
    assert {f"head.{b}" for b in ("store", "estimator", "filter", "reuse", "softmax", "weighted_sum")} <= names
    assert result["total"]["lut"] == sum(m["own"]["lut"] * m["instances"] for m in result["modules"])
    assert not [problem for problem in result["problems"] if problem["wrong"]]
    dsp = {module["module"]: module["total"]["dsp"] for module in result["modules"]}
    assert dsp["head.weighted_sum"] == preset("tiny").head_dim, "one 8x8 multiplier a dimension"
    assert dsp["head.estimator"] == dsp["head.reuse"] == 0
    (seed,) = result["place_and_route"]["seeds"]
    assert 30 < seed["fmax_mhz"] < 600
    assert {step["module"] for step in seed["critical_path"]["modules"]} <= names | {""}
    slowest = seed["slow_ends"][0]
    assert slowest["delay_ns"] == pytest.approx(1e3 / seed["fmax_mhz"], abs=0.01)
    assert {ends["module"] for ends in seed["slow_ends"]} <= names | {""}
    assert f"{slowest['latest']} {slowest['delay_ns']:.2f} ns" in (out / "synth.md").read_text()
    used = result["place_and_route"]["utilisation_with_wrapper"]
    trimmed = result["place_and_route"]["trimmed"]
    assert min(trimmed["carries_in"], trimmed["carries_out"], trimmed["addresses"]) > 50
    assert f"{trimmed['carries_in']:,} that led in" in (out / "synth.md").read_text()
    packed = result["place_and_route"]["registers_packed"]
    assert (packed["products"], packed["factors"]) == (9, 9)
    assert packed["block_rams"] == result["total"]["block_ram"]
    left = result["total"]["ff"] + result["wrapper"]["ff"] - packed["flip_flops"]
    assert used["TRELLIS_FF"]["used"] == pytest.approx(left, rel=0.02)
    assert used["TRELLIS_COMB"]["used"] > result["total"]["lut"]
    assert "| head |" in (out / "synth.md").read_text()


@pytest.mark.parametrize(
    "target",
    [
        "xc7",
        pytest.param("xcup", marks=pytest.mark.slow),
        pytest.param("ice40", marks=pytest.mark.slow),
        pytest.param("generic", marks=pytest.mark.slow),
    ],
)
def test_a_block_for_every_other_target(target: str):
    said: list[str] = []
    result = synthesise(Job("tiny", preset("tiny"), TARGETS[target], block="estimator"), "latte synth", said.append)
    assert result["total"]["lut"] > 50
    assert result["total"]["ff"] > 50
    assert result["place_and_route"] is None


def test_narrow_multipliers_take_no_dsp_and_no_dsp_means_none():
    config = preset("tiny").replace(dot="multipliers")
    for block, dsp, expected in (("estimator", True, 0), ("weighted_sum", True, 8), ("weighted_sum", False, 0)):
        job = Job("tiny", config, ECP5, block=block, dsp=dsp)
        assert synthesise(job, "", lambda _: None)["total"]["dsp"] == expected, (block, dsp)


def test_only_what_is_placed_is_trimmed():
    with pytest.raises(LatteError, match="--trim prepares a netlist for place and route: give --place-and-route"):
        Job("tiny", preset("tiny"), ECP5, trim=True).check()


def test_so_many_products_go_to_dsp_blocks():
    job = Job("tiny", preset("tiny"), ECP5, block="weighted_sum", products=5)
    assert synthesise(job, "", lambda _: None)["total"]["dsp"] == 5
    wide = replace(job, block="softmax", products=1)
    assert synthesise(wide, "", lambda _: None)["total"]["dsp"] == 1, "what scales is wider than bytes"
    for changes in ({"products": 0}, {"dsp": False}, {"target": TARGETS["generic"]}):
        with pytest.raises(LatteError, match="--dsp-products must be at least 1, without --no-dsp and for a target"):
            replace(job, **changes).check()


BODIES = {
    "clean": ("always @(posedge clk) q <= d; assign y = a;", []),
    "latch": ("always @* if (a) q = d; assign y = a;", ["latch"]),
    "loop": ("wire w, v; assign w = v ^ a; assign v = w & d[0]; assign y = v; always @(posedge clk) q <= d;", ["loop"]),
    "two drivers": ("assign y = a; assign y = d[0]; always @(posedge clk) q <= d;", ["drivers"]),
    "no driver": ("wire w; assign y = w; always @(posedge clk) q <= d;", ["undriven"]),
    "block RAM": (
        "reg [31:0] m [0:1023]; always @(posedge clk) begin if (a) m[p] <= d; q <= m[r]; end assign y = a;",
        [],
    ),
    "asynchronous RAM": (
        "reg [31:0] m [0:1023]; always @(posedge clk) if (a) m[p] <= d; always @* q = m[r]; assign y = a;",
        ["memory"],
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_faults_are_found(name: str, tmp_path: Path):
    body, kinds = BODIES[name]
    problems, _ = check_verilog(tmp_path, body)
    assert sorted({problem.kind for problem in problems}) == kinds


def test_a_wrong_design_is_exit_code_1(monkeypatch, capfd):
    latch = checks.Problem("latch", "head.x", "latch instead of a register", True)
    monkeypatch.setattr(checks, "structural", lambda *_: [latch])
    code, output, _ = latte(monkeypatch, capfd, "--block", "filter", "--target", "generic")
    assert code == 1
    assert "WRONG: latch head.x" in output


def without_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the tools were not installed; Amaranth's own Yosys still is."""
    real = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if "yowasp" in name else real(name))
    for program in (tools.YOSYS, tools.NEXTPNR_ECP5):
        monkeypatch.delenv(program.variable, raising=False)


BAD = {
    "target": (["--target", "virtex"], "target must be one of ecp5-85k, xc7"),
    "block": (["--target", "xc7", "--block", "fifo"], "block must be one of head, store"),
    "core": (["--target", "xc7", "--core", "other"], "'other' is not one of 'latte', 'dense', 'top'"),
    "place and route elsewhere": (
        ["--target", "xc7", "--place-and-route"],
        "place and route works for the target ecp5",
    ),
    "seeds": (["--target", "ecp5-85k", "--place-and-route", "--seeds", "1,x"], "--seeds takes whole numbers"),
    "same seeds": (["--target", "ecp5-85k", "--place-and-route", "--seeds", "1,1"], "must name different seeds"),
    "placer": (["--target", "ecp5-85k", "--placer", "best"], "--placer must be heap or static, not best"),
    "router": (["--target", "ecp5-85k", "--router", "best"], "--router must be router1 or router2, not best"),
    "speed": (["--target", "ecp5-85k", "--speed", "9"], "--speed must be 6, 7 or 8, not 9"),
    "a file as folder": (["--target", "xc7", "-o", "file/out"], "file is a file"),
}


def refused(result: tuple[int, str, str], sentence: str) -> None:
    code, output, errors = result
    assert (code, output) == (2, ""), errors
    last = errors.splitlines()[-1]
    assert last.startswith("latte: ")
    assert sentence in last


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str, monkeypatch, capfd, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("in the way")
    arguments, sentence = BAD[name]
    refused(latte(monkeypatch, capfd, *arguments), sentence)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "echo 'Yosys 9.9'; [ \"$1\" = --version ] || { echo 'ERROR: no such thing'; exit 3; }",
            "exit code 3: ERROR: no",
        ),
        ("echo 'Yosys 9.9'", "yosys ended without an error but wrote no stat.json"),
        ("echo 'Yosys 9.9'; [ \"$1\" = --version ] || kill -9 $$", "yosys failed with exit code -9: Yosys 9.9"),
    ],
)
def test_a_tool_that_fails_leaves_nothing(text: str, sentence: str, monkeypatch, capfd, tmp_path: Path):
    program = tmp_path / "bin" / "yosys"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    without_wheels(monkeypatch)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    refused(latte(monkeypatch, capfd, "--target", "xc7", "-o", tmp_path / "out"), sentence)
    assert not (tmp_path / "out").exists()


def test_a_missing_tool_is_reported_before_anything_runs(monkeypatch):
    without_wheels(monkeypatch)
    monkeypatch.setenv("PATH", "")
    said: list[str] = []
    with pytest.raises(LatteError, match="yosys is missing: install the extra `synth`"):
        synthesise(Job("tiny", preset("tiny"), ECP5), "", said.append)
    assert said == []


def test_an_environment_variable_names_the_program(monkeypatch, tmp_path: Path):
    program = tmp_path / "own-nextpnr"
    program.write_text("#!/bin/sh\necho 'nextpnr-ecp5 9.8.7'\n")
    program.chmod(0o755)
    monkeypatch.setenv("NEXTPNR_ECP5", str(program))
    assert tools.version_of(tools.NEXTPNR_ECP5) == "9.8.7"
    monkeypatch.setenv("NEXTPNR_ECP5", "no-such-program")
    with pytest.raises(LatteError, match="NEXTPNR_ECP5 must name a program that can be run, not 'no-such-program'"):
        tools.command_of(tools.NEXTPNR_ECP5)


def test_out_of_memory_is_said_in_words():
    assert tools.last_lines("libc++abi: bad_alloc was thrown\nTraceback\n") == "it ran out of memory"


def test_the_page_says_what_the_committed_results_say():
    text = (ROOT / pages.PAGE).read_text()
    assert list((ROOT / pages.RESULTS).glob("*.json"))
    assert pages.filled(text, ROOT / pages.RESULTS) == text, "out of date: python -m latte_hw.synth.pages"
    with pytest.raises(LatteError, match="the page must have one"):
        pages.filled("no markers", ROOT / pages.RESULTS)
