"""Every experiment by itself in its quick size, its record, its picture and its page."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

import golden.commands
from golden.experiments import record
from golden.experiments.catalog import CATALOG, NAMES
from golden.experiments.context import Context, Job
from golden.experiments.sizes import QUICK
from golden.files.thresholds import save
from golden.train.model import model_shape
from latte_hw.config.errors import LatteError
from latte_hw.config.thresholds import ThresholdsFile

ROOT = Path(__file__).parents[3]
FIELDS = {
    "schema", "name", "title", "question", "complete", "quick", "command", "seed", "model", "data", "counted",
    "formulas", "settings", "device", "versions", "seconds", "results",
}  # fmt: skip


def latte(*arguments: object) -> str:
    app = typer.Typer()
    golden.commands.register(app)
    result = CliRunner().invoke(app, ["experiments", *(str(argument) for argument in arguments)])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def numbers(value: Any) -> list[float]:
    """Every number in nested plain values."""
    if isinstance(value, dict):
        return [x for one in value.values() for x in numbers(one)]
    if isinstance(value, list):
        return [x for one in value for x in numbers(one)]
    return [value] if isinstance(value, float) else []


def pruned_rows(value: Any) -> list[dict[str, Any]]:
    """Every row of results that prunes."""
    if isinstance(value, dict):
        own = [value] if "bit_operation_change" in value else []
        return own + [row for one in value.values() for row in pruned_rows(one)]
    return [row for one in value for row in pruned_rows(one)] if isinstance(value, list) else []


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if number % 3 == 0 else pytest.mark.slow) for number, name in enumerate(NAMES)]
)
def test_an_experiment_alone(name: str, tmp_path: Path) -> None:
    """Record, rows, picture, and the block of its real page."""
    latte("run", name, "--quick", "--device", "cpu", "-o", tmp_path)
    content = json.loads((tmp_path / f"{name}.json").read_text())
    assert set(content) == FIELDS
    assert (content["complete"], content["quick"], content["seed"], content["device"]) == (True, True, 0, "cpu")
    assert {"latte-hw", "python", "torch", "transformers"} <= set(content["versions"])
    assert content["model"]
    assert "valid pairs" in content["counted"]
    assert all(math.isfinite(x) for x in numbers(content["results"]))
    rows = pruned_rows(content["results"])
    assert rows or name == "fidelity"
    for row in rows:
        assert 0 <= row["pruned"] < 1
        assert row["bit_operation_change"] < 0 or row["pruned"] < 0.2
        assert row["loss_change"]["low"] <= row["loss_change"]["mean"] <= row["loss_change"]["high"]
        assert "kept" in row["bit_operation_formula"]

    page = tmp_path / "pages" / f"{name}.md"
    page.parent.mkdir()
    page.write_text((ROOT / "docs" / "experiments" / f"{name}.md").read_text())
    latte("plot", name, "--results", tmp_path, "--pages", page.parent)
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    text = page.read_text()
    assert f"(../results/{name}.png)" in text
    assert "quick run" in text
    before = (tmp_path / f"{name}.png").read_bytes(), text
    latte("plot", name, "--results", tmp_path, "--pages", page.parent)
    assert ((tmp_path / f"{name}.png").read_bytes(), page.read_text()) == before


def test_shares_in_peers_are_brought_together(tmp_path: Path) -> None:
    latte("run", "peers", "--quick", "--device", "cpu", "--keep", "0.3", "-o", tmp_path)
    results = record.load(tmp_path, "peers")["results"]
    assert results["equality"]["spread"] < 0.02
    assert [row["method"] for row in results["rows"]][-2:] == ["top_k_share", "top_k_count"]
    formula = {row["method"]: row["bit_operation_formula"] for row in results["rows"]}
    assert formula["latte_trained"] == "16·valid + 96·kept"


def test_an_experiment_is_the_same_every_time(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        latte("run", "granularity", "--quick", "--device", "cpu", "-o", tmp_path / folder)
    first, second = (record.load(tmp_path / folder, "granularity")["results"] for folder in ("a", "b"))
    assert first == second


def test_thresholds_files_are_taken_where_they_fit(tmp_path: Path) -> None:
    context = Context(Job(sizes=QUICK, quick=True, device="cpu"))
    model, name = context.language_model
    shape = model_shape(model, name)
    tau = torch.linspace(1, 3, 8).reshape(2, 4)
    plain = ThresholdsFile(shape, context.config(), tau.numpy(), ("smooth_k", "rotate"), None, {"estimate_bits": None})
    save(plain, tmp_path / "ours.json")
    other = ThresholdsFile(shape, context.config(), tau.numpy(), (), None, {})
    save(other, tmp_path / "unconditioned.json")
    files = [tmp_path / "unconditioned.json", tmp_path / "ours.json"]
    arguments = [x for file in files for x in ("--thresholds", file)]
    latte("run", "granularity", "sensitivity", "--quick", "--device", "cpu", *arguments, "-o", tmp_path)
    content = record.load(tmp_path, "granularity")
    assert content["settings"]["trained"] == {"file": "ours.json"}
    assert "trained" in record.load(tmp_path, "sensitivity")["results"]["curves"]
    assert str(tmp_path) not in json.dumps(content)


def test_a_spent_budget_starts_nothing_and_an_interruption_keeps_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert latte("run", "all", "--quick", "--budget-seconds", "0", "-o", tmp_path) == ""
    assert list(tmp_path.iterdir()) == []

    from golden.experiments import precision

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(precision, "rule_family", broken)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        latte("run", "precision", "--quick", "--device", "cpu", "-o", tmp_path)
    content = record.load(tmp_path, "precision")
    assert not content["complete"]
    assert len(content["results"]["rows"]) == 9


def test_list_names_every_experiment() -> None:
    lines = latte("list").splitlines()
    assert [line.split()[0] for line in lines] == list(NAMES)
    assert all(entry.question in line for entry, line in zip(CATALOG, lines, strict=True))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "nothing"], "experiment must be one of fidelity"),
        (["run", "peers"], "give --model and --tokens, or --quick"),
        (["run", "peers", "--keep", "0"], "the keep ratio must be above 0"),
        (["run", "vision", "--vision", "folder"], "--vision takes MODEL=IMAGES"),
        (["run", "peers", "--quick", "-o", "a_file/results"], "output folder a_file/results cannot be made"),
        (["plot", "peers", "--results", "nowhere"], "cannot be read"),
        (["plot", "--results", "nowhere"], "there is no result file"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs" / "results").mkdir(parents=True)
    (tmp_path / "a_file").write_text("in the way")
    with pytest.raises(LatteError, match=sentence):
        latte(*arguments)


def test_a_page_without_its_block_is_refused(tmp_path: Path) -> None:
    from golden.experiments.figures.pages import replace_block

    page = tmp_path / "page.md"
    page.write_text("nothing to fill\n")
    with pytest.raises(LatteError, match="must have one block"):
        replace_block(page, "peers", "text")


def test_every_page_and_the_overview_have_their_block() -> None:
    folder = ROOT / "docs" / "experiments"
    overview = (folder / "README.md").read_text()
    assert overview.count("<!-- begin overview -->") == overview.count("<!-- end overview -->") == 1
    for name in NAMES:
        text = (folder / f"{name}.md").read_text()
        assert text.count(f"<!-- begin {name} -->") == text.count(f"<!-- end {name} -->") == 1


def test_committed_pages_say_what_the_committed_results_say() -> None:
    """Tables in the pages are those of the result files beside them."""
    made = [name for name in NAMES if (ROOT / "docs" / "results" / f"{name}.json").is_file()]
    if not made:
        pytest.skip("no results yet")
    import importlib

    from golden.experiments.figures import pages

    for name in made:
        content = record.load(ROOT / "docs" / "results", name)
        table = importlib.import_module(f"golden.experiments.figures.{name}").table(content)
        assert pages.block(content, table) in (ROOT / "docs" / "experiments" / f"{name}.md").read_text(), name
        assert content["complete"]
        assert not content["quick"]


def test_plotting_needs_no_torch_and_running_no_matplotlib() -> None:
    code = "import golden.experiments.figures.draw as d, sys; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "False"
    code = "import golden.experiments.run, golden.experiments.peers, sys; print('matplotlib' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "False"


def test_command_lines_name_no_folder_of_this_machine() -> None:
    line = record.command_line(["experiments", "run", "--model", "/a/b/m.gguf", "--vision=/c/d=rendered", "x y"])
    assert line == "latte experiments run --model m.gguf --vision=d=rendered 'x y'"
