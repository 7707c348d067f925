"""Blocks of Markdown pages that are made from result files: ``<!-- begin NAME -->`` to ``<!-- end NAME -->``."""

from pathlib import Path
from typing import Any

from golden.experiments.catalog import CATALOG
from golden.experiments.figures.style import markdown
from golden.files.npz import replacing
from latte_hw.config.errors import LatteError


def replace_block(page: Path, name: str, text: str) -> None:
    """Put ``text`` between the two comment lines of a page; :class:`LatteError` when it has not exactly one block."""
    content = page.read_text(encoding="utf-8")
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    if content.count(begin) != 1 or content.count(end) != 1 or content.index(begin) > content.index(end):
        raise LatteError(f"page {page} must have one block from {begin} to {end}")
    before, rest = content.split(begin)
    after = rest.split(end)[1]
    with replacing(page) as temporary:
        temporary.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def block(content: dict[str, Any], table: str) -> str:
    """What a page shows of a result file: picture, tables, and how it was made."""
    picture = f"![{content['title']}](../results/{content['name']}.png)"
    return "\n\n".join([picture, table, made_by(content)])


def made_by(content: dict[str, Any]) -> str:
    """How a result file came about, in a paragraph."""
    versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    state = "" if content["complete"] else " **Incomplete: the run was cut short.**"
    quick = " **A quick run on small sizes: not a result.**" if content["quick"] else ""
    return (
        f"Made by `{content['command']}` on {content['device']} in {content['seconds']:.0f} s, seed {content['seed']}; "
        f"{versions}. Model: {content['model']}. Everything measured: "
        f"[`{content['name']}.json`](../results/{content['name']}.json).{quick}{state}"
    )


def overview(contents: list[dict[str, Any]]) -> str:
    """A line per experiment: what is there."""
    found = {content["name"]: content for content in contents}
    rows = []
    for entry in CATALOG:
        content = found.get(entry.name)
        made = "not run yet"
        if content is not None:
            state = "quick run" if content["quick"] else "complete" if content["complete"] else "incomplete"
            made = f"{state}, {content['device']}, {content['seconds']:.0f} s"
        rows.append([f"[{entry.title}]({entry.name}.md)", entry.question, made])
    return markdown(["experiment", "question", "result"], rows, left=3)
