"""docs/tools.md and the scripts of findings/: every line names what holds it, every script is on the page and pinned.

The scripts themselves install packages of other people's and are run by hand.
"""

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tools.md").read_text()
SCRIPTS = sorted((ROOT / "findings").glob("*.sh"))
HOLDERS = re.compile(r"`findings/[\w-]+\.sh`|`tests/[\w/]+\.py`|\bonce\b")


def rows(text: str) -> list[tuple[int, str]]:
    """Last cells of the rows of every table with a column `held by`, with the numbers of their lines."""
    found, held = [], False
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("|"):
            held = False
        elif line.endswith("| held by |"):
            held = True
        elif held and not line.startswith("|---"):
            found.append((number, line.rstrip("| ").rsplit(" | ", 1)[-1]))
    return found


def test_every_line_names_what_holds_it() -> None:
    lines = rows(PAGE)
    assert len(lines) > 60
    assert [line for line in lines if not HOLDERS.search(line[1])] == []


def test_a_line_that_names_nothing_is_found() -> None:
    assert rows("| a | held by |\n|---|---|\n| b | `tests/x.py` |\n\n| c |\n|---|\n| d |\n") == [(3, "`tests/x.py`")]
    assert not HOLDERS.search("| somebody said so |")


def test_the_page_and_the_folder_name_the_same_scripts() -> None:
    named = set(re.findall(r"`findings/([\w-]+\.sh)`", PAGE)) - {"NAME.sh"}
    assert named == {script.name for script in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_is_pinned_and_leaves_nothing(script: Path) -> None:
    text = script.read_text()
    assert text.startswith("#!/bin/sh\n# ")
    assert os.access(script, os.X_OK)
    for needed in (
        " Found 20",
        "\n# Exits with 0 while ",
        "\nset -eu\n",
        "folder=$(mktemp -d)\ntrap 'rm -rf \"$folder\"' EXIT",
    ):
        assert needed in text, needed
    installed = re.findall(r"pip\" install --quiet --disable-pip-version-check ((?:'[^']*'|\\\n|[ ])+)", text)
    packages = re.findall(r"'([^']+)'", " ".join(installed))
    assert all("==" in package for package in packages)
    assert packages or "iverilog" in text
    assert not re.search(r"\b(?:latte_hw|golden|rtl_out)\b", text), "it shows other people's tools, without ours"
