"""README, CONTRIBUTING and the pages of `docs/`: sizes, links, paths, commands and figures made by a command."""

import importlib.util
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from latte_hw.cli.main import app
from latte_hw.config import Core
from latte_hw.config.errors import LatteError
from latte_hw.config.loading import resolve_config
from sim.reports import pages

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("traces/*.md"), *ROOT.glob("thresholds/*.md")]
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
MOST_BYTES = {"README.md": 6_000, "CONTRIBUTING.md": 8_000}

HISTORY = ("CHANGELOG.md", "docs/appendix/synthesis-log.md")
"""Pages that name what was there once."""

MEASURED = ("docs/synthesis.md", "docs/experiments/")
"""Pages that quote commands of the day they were measured."""

EXAMPLE = re.compile(r".*/((test_)?x\.py|NAME\.json)")
"""Paths of no file, which show where one would go."""


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


# --- sizes and floors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MOST_BYTES)
def test_the_door_is_small(name: str) -> None:
    assert len((ROOT / name).read_bytes()) <= MOST_BYTES[name]


def test_the_index_names_every_page() -> None:
    index = text_of("docs/README.md")
    for name in NAMES:
        path = Path(name).relative_to("docs") if name.startswith("docs/") else None
        if path is None or name == "docs/README.md" or (path.parent.name == "experiments" and path.name != "README.md"):
            continue
        assert f"]({path})" in index, f"docs/README.md does not list {path}"


def test_contributing_has_the_floors_of_the_test() -> None:
    floors = runpy.run_path(str(ROOT / "tests" / "test_architecture.py"))["FLOORS"]
    for package, rooms in floors.items():
        assert f"\n{package}: {' < '.join(rooms)}\n" in text_of("CONTRIBUTING.md"), package


# --- links and paths --------------------------------------------------------------------------------------------------


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def anchors(text: str) -> set[str]:
    """What GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", without_code(text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path, text: str) -> list[str]:
    broken = []
    for link in re.findall(r"\]\(([^()\s]+)\)", without_code(text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            broken.append(link)
    return broken


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    assert not broken_links(ROOT / name, text_of(name))


def test_a_broken_link_is_found() -> None:
    text = "[a](none.md) [b](README.md) [c](#where-to-go) [d](#c) [e](CONTRIBUTING.md#words) [f](https://x.y/z)"
    assert broken_links(ROOT / "README.md", text) == ["none.md", "#c"]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in HISTORY])
def test_paths_in_code_are_there(name: str) -> None:
    folders = "latte_hw|golden|sim|tests|docs|examples|traces|thresholds|rtl_out"
    for path in re.findall(rf"`((?:{folders})/[\w./-]+)`", text_of(name)):
        assert EXAMPLE.fullmatch(path) or (ROOT / path).exists(), path


# --- commands ---------------------------------------------------------------------------------------------------------


def console_commands(text: str) -> Iterator[list[str]]:
    """Words of every command behind a `$` in a console block, continued lines joined, comments gone."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                yield shlex.split(line[2:], comments=True)


def check(words: list[str]) -> None:
    """Raises when `latte` would refuse the words of a command, short of opening files: parses them, runs nothing."""
    given: dict[str, Any] = {}
    group = typer.main.get_command(app)
    without_effect(group, given)
    group.main(words, "latte", standalone_mode=False)
    if "settings" in given:
        resolve_config(given["preset"], None, given["settings"], core=given.get("core", Core.LATTE))


def without_effect(command: Any, given: dict[str, Any]) -> None:
    """Let a command, and those of a group, only say what it was given."""
    for below in getattr(command, "commands", {}).values():
        without_effect(below, given)
    if not hasattr(command, "commands"):
        command.callback = given.update


COMMANDS = [
    pytest.param(words, id=f"{name}: {' '.join(words)[:60]}")
    for name in NAMES
    if name not in HISTORY and not name.startswith(MEASURED)
    for words in console_commands(text_of(name))
]


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 30


@pytest.mark.parametrize("words", COMMANDS)
def test_commands_can_be_given(words: list[str]) -> None:
    program, *rest = words
    if program == "latte":
        check(rest)
    elif program == "make":
        targets = re.findall(r"^([a-z-]+):", text_of("Makefile"), re.M)
        assert set(rest) <= set(targets)
    elif words[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(words[2]) is not None
    elif program == "python":
        assert (ROOT / rest[0]).is_file()
    else:
        assert program in ("apt-get", "fusesoc", "cc", "python3", "pip", ".", "eval")


@pytest.mark.parametrize("line", ["--preset gpt3 -o x", "-o x --fast", "-o x --set dims=3", "--preset gpt2"])
def test_a_wrong_command_is_found(line: str) -> None:
    with pytest.raises((LatteError, typer.TyperException)):
        check(["generate", *line.split()])


@pytest.mark.parametrize("name", [name for name in NAMES if name not in HISTORY])
def test_make_targets_in_sentences_are_there(name: str) -> None:
    targets = re.findall(r"^([a-z-]+):", text_of("Makefile"), re.M)
    assert set(re.findall(r"`make ([a-z-]+)`", text_of(name))) <= set(targets)


# --- figures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", pages.PAGES)
def test_figures_are_those_of_the_results(name: str) -> None:
    assert pages.filled(name, text_of(name)) == text_of(name), f"out of date: {pages.COMMAND}"


def test_a_page_without_its_part_is_refused() -> None:
    with pytest.raises(LatteError, match="<!-- begin rtl -->"):
        pages.filled("README.md", "# LATTE")


def test_lines_are_counted_in_the_committed_verilog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results of other Verilog than the committed one are shown as such."""
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "latte_head.v").write_text("module\n" * 1234)
    monkeypatch.setattr(pages, "RTL", tmp_path)
    assert pages.rtl_part() == " `tiny` (1,234 lines) "
    table = pages.presets_part()
    assert re.search(r"^\| `tiny` .* 1,234 \|$", table, re.M)
    assert "Measured before the last change of the Verilog, when `tiny` had " in table
