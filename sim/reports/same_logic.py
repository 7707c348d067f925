"""Whether two files of Verilog describe the same circuit: `python -m sim.reports.same_logic BEFORE AFTER`.

BEFORE and AFTER are files, or folders, in which all files `*.v` that both have are compared. The verdict of each pair:

    same bytes          but for comments at the head of the file
    same netlist        flattened, both have the same cells, connected alike: names and hierarchy apart, nothing differs
    same logic          every output is equal in every cycle, but the cells are not one to one: copies were merged
    same logic, simplified     the same, once Yosys has folded constants and removed what nothing reads
    different           an output differs, or it cannot be seen from the structure that none does; says where it begins

Ends with 1 if a pair is different. Needs Yosys (extra `synth`).
"""

import argparse
import json
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from latte_hw.config.errors import LatteError
from latte_hw.host import terminal
from latte_hw.synth.tools import YOSYS, run
from sim.reports.netlist_graph import ZEROS, Comparison, Graph, compare, graph_of

FLATTEN = ("hierarchy -check {top}", "proc", "flatten -noscopeinfo", "opt_clean", "memory_collect", "opt_clean")
SIMPLIFY = ("opt_expr -full", "opt_clean")
DIFFERENT = "different"


@dataclass(frozen=True)
class Verdict:
    """The verdict in words, and what it rests on: nothing where the bytes are the same."""

    words: str
    comparison: Comparison | None = None

    @property
    def same(self) -> bool:
        return self.words != DIFFERENT


def same_logic(before: Path, after: Path, top: str | None = None) -> Verdict:
    """Compare two files; `top` is the top module of both, by default the one that no other contains.

    Raises :class:`LatteError` when a file cannot be read, or Yosys refuses it.
    """
    if _code(before) == _code(after):
        return Verdict("same bytes")
    for words, passes in (("", ()), (", simplified", SIMPLIFY)):
        comparison = compare(graph(before, top, passes), graph(after, top, passes))
        if comparison.same_logic:
            return Verdict(("same netlist" if comparison.isomorphic else "same logic") + words, comparison)
    return Verdict(DIFFERENT, comparison)


def _code(path: Path) -> list[str]:
    """The lines of a file from the first that is no comment."""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise LatteError(f"{path} cannot be read: {error.strerror}") from None
    return lines[next((number for number, line in enumerate(lines) if not line.startswith("//")), 0) :]


_ZEROS = re.compile(
    r"(?P<declaration>  reg [^;\n]*\[(?P<last>\d+):0\];\n)  initial begin(?: : \w+)?\n"
    r"(?:    integer word;\n    for \(word = 0; word < (?P<words>\d+); word = word \+ 1\)\n"
    r"      \S+ ?\[word\] = \d+'h0;\n"
    r"|(?P<lines>(?:    \S+ ?\[\d+\] = \d+'(?:h0+|d0);\n)+))  end\n"
)


def _zeros_marked(text: str) -> str:
    """Memories all of whose words are zero at first get an attribute instead: Yosys takes minutes for thousands of
    assignments. Loop or lines, whole memories only."""

    def marked(match: re.Match[str]) -> str:
        words = int(match["words"] or match["lines"].count("\n"))
        return f"  (* {ZEROS} *)\n{match['declaration']}" if words == int(match["last"]) + 1 else match[0]

    return _ZEROS.sub(marked, text)


def graph(path: Path, top: str | None = None, passes: Sequence[str] = ()) -> Graph:
    """The flat netlist of a file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "core.v").write_text(_zeros_marked(path.read_text()))
        flatten = (one.format(top=f"-top {top}" if top else "-auto-top") for one in FLATTEN)
        script = "\n".join(["read_verilog core.v", *flatten, *passes, "write_json core.json", ""])
        (folder / "script.ys").write_text(script)
        run(YOSYS, ["-q", "script.ys"], folder, produces=["core.json"])
        with (folder / "core.json").open() as file:
            (module,) = json.load(file)["modules"].values()
    return graph_of(module)


def pairs(before: Path, after: Path) -> list[tuple[str, Path, Path]]:
    """What to compare: name, file before, file after."""
    if before.is_file() and after.is_file():
        return [(after.name, before, after)]
    names = [str(path.relative_to(before)) for path in sorted(before.rglob("*.v"))]
    shared = [(name, before / name, after / name) for name in names if (after / name).is_file()]
    if not shared:
        raise LatteError(f"{before} and {after} must be two files, or folders that share files *.v")
    return shared


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sim.reports.same_logic", description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--top", help="top module of both")
    options = parser.parse_args(arguments)
    alike = True
    for name, before, after in pairs(options.before, options.after):
        began = time.perf_counter()
        verdict = same_logic(before, after, options.top)
        alike &= verdict.same
        print(
            f"{name}: {verdict.words} ({_evidence(verdict.comparison)}{time.perf_counter() - began:.0f} s)", flush=True
        )
        if not verdict.same and verdict.comparison:
            print(*(f"    {line}" for line in _where(verdict.comparison)), sep="\n", flush=True)
    return 0 if alike else 1


def _evidence(comparison: Comparison | None) -> str:
    if comparison is None:
        return ""
    before, after = comparison.cells
    cells = f"{before:,} cells" if before == after else f"{before:,} and {after:,} cells"
    return f"{cells}, {comparison.rounds} rounds, "


def _where(comparison: Comparison) -> list[str]:
    return [f"outputs that differ: {', '.join(comparison.outputs)}", *comparison.first]


if __name__ == "__main__":
    terminal.run(main, "sim.reports.same_logic")
