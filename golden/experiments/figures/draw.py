"""Draws every picture beside its result file, and writes the tables of the pages anew. The one user of matplotlib."""

import importlib
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from golden.experiments import record
from golden.experiments.catalog import CATALOG
from golden.experiments.figures import pages
from golden.files.npz import replacing

DOTS_PER_INCH = 130


def draw_all(names: list[str], results: Path, page_folder: Path | None) -> list[Path]:
    """Draw the named experiments from ``results``; with ``page_folder``, write the tables of their pages and of the
    overview anew. Returns what was written."""
    written = []
    for name in names:
        content = record.load(results, name)
        module = importlib.import_module(f"golden.experiments.figures.{name}")
        written.append(draw(content, module, results / f"{name}.png"))
        page = None if page_folder is None else page_folder / f"{name}.md"
        if page is not None and page.is_file():
            pages.replace_block(page, name, pages.block(content, module.table(content)))
            written.append(page)
    overview = None if page_folder is None else page_folder / "README.md"
    if overview is not None and overview.is_file():
        found = [record.load(results, one.name) for one in CATALOG if record.path_of(results, one.name).is_file()]
        pages.replace_block(overview, "overview", pages.overview(found))
        written.append(overview)
    return written


def draw(content: dict[str, Any], module: Any, path: Path) -> Path:
    """One picture; equal content gives equal bytes."""
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=module.SIZE, layout="constrained")
        FigureCanvasAgg(figure)
        module.draw(content, figure)
        if content["quick"] or not content["complete"]:
            figure.text(0.5, 0.5, "quick run" if content["quick"] else "incomplete", ha="center", va="center",
                        fontsize=44, color="red", alpha=0.2)  # fmt: skip
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return path
