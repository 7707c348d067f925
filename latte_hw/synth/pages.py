"""Fills the table of `docs/synthesis.md` from the committed results: `python -m latte_hw.synth.pages`."""

import json
from pathlib import Path

from latte_hw.config.errors import LatteError
from latte_hw.emit.generated_section import with_part
from latte_hw.host import terminal
from latte_hw.synth.flow import SCHEMA
from latte_hw.synth.report import markdown

PAGE = Path("docs/synthesis.md")
RESULTS = Path("docs/results/synth")
DEEPEST = 1
"""Modules this deep below the core are shown; the JSON has all of them."""


def filled(text: str, results: Path) -> str:
    """The page with the text between its markers made anew from every result file.

    Raises :class:`LatteError` when the page has no pair of markers, or a file is no result.
    """
    parts = []
    for path in sorted(results.glob("*.json")):
        content = json.loads(path.read_text())
        if content.get("schema") != SCHEMA:
            raise LatteError(f"{path} is not of the schema {SCHEMA}")
        parts.append(markdown(content, deepest=DEEPEST))
    return with_part(text, "results", "\n".join(["", *parts, ""]))


def main() -> None:
    """Rewrite the page; run it in the repository's root."""
    PAGE.write_text(filled(PAGE.read_text(), RESULTS))


if __name__ == "__main__":
    terminal.run(main, "latte_hw.synth.pages")
