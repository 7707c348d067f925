"""Output in any encoding, and what ends a command that is not its own failure."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.setup.conftest import ROOT, Run

DEMO = """
import numpy as np
from golden.analysis.metrics import keep_ratio
from latte_hw.host import terminal
from latte_hw.params import HeadParams
from latte_hw.config.presets import preset
from sim.reports import demo
from sim.reports.measure import HeadPace
def main():
    pace = HeadPace(
        cycles_per_query=1.0, bound=2.0, kept=3.0, first_latency=4, latency_bound=5, total=6, total_bound=7
    )
    counters = {"counters": np.array([[100, 20, 10], [100, 30, 20]])}
    demo._step(1, "D × P − 1 … → ≤ ≥ τ 漢")
    demo.console.print(demo._table(counters, [pace, pace], HeadParams(preset("tiny"))))
terminal.run(main, "demo")
"""


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_tables_and_progress_print(encoding: str, run: Run, latte: Run):
    for done in (run("-c", DEMO, PYTHONIOENCODING=encoding), latte("estimate", PYTHONIOENCODING=encoding)):
        assert (done.returncode, done.stderr) == (0, "")
    assert "-75." in done.stdout or "queries per second" in done.stdout


def test_what_an_encoding_lacks_is_spelled_out(run: Run):
    done = run("-c", DEMO, PYTHONIOENCODING="latin-1", COLUMNS=120)
    assert "1/4 D \ufffd P - 1 ... -> <= >= tau ?" in done.stdout  # × is byte 0xd7 there, which is not UTF-8
    assert "D × P − 1 … → ≤ ≥ τ 漢" in run("-c", DEMO, PYTHONIOENCODING="utf-8", COLUMNS=120).stdout


def test_help_prints(latte: Run):
    done = latte("generate", "--help", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Configuration fields" in done.stdout


def test_an_error_prints(latte: Run):
    done = latte("golden", "τ−×.npz", "-o", "out.npz", PYTHONIOENCODING="latin-1")
    assert done.returncode == 2
    assert "tensor file tau-\ufffd.npz cannot be read" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_file_name_that_is_no_text(tmp_path: Path):
    command = [sys.executable.encode(), b"-m", b"latte_hw.cli.main", b"golden", b"caf\xe9.npz", b"-o", b"out.npz"]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True)
    assert done.returncode == 2
    assert done.stderr.startswith(b"latte: tensor file caf?.npz cannot be read")


def test_a_reader_who_has_seen_enough(tmp_path: Path):
    command = f"'{sys.executable}' -m latte_hw.cli.main golden --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, cwd=tmp_path, text=True,
        capture_output=True,
    )  # fmt: skip
    assert done.stderr == ""


def test_every_program_runs_under_the_same_rules():
    """What a person starts prints in any encoding and ends in a sentence: :func:`latte_hw.host.terminal.run` is how."""
    for package in ("latte_hw", "golden", "sim"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for node in ast.parse(text).body:
                if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
                    started = ast.unparse(node)
                    wanted = "main()" if path.match("cli/main.py") else "terminal.run("
                    assert wanted in started, f"{path.relative_to(ROOT)}: {started}"
