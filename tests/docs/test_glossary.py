"""One word per idea: what names, docstrings, messages and pages must not say, and the word to use instead.

Ordinary words (place, row, single) are judged by sense, not here. CONTRIBUTING.md explains the words.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEARCHED = ("latte_hw", "golden", "sim", "tests", "docs", "examples", "README.md", "CONTRIBUTING.md", "Makefile")
SUFFIXES = {".py", ".md", ".c", ".cpp", ".h", ".tcl", ".core", ""}
HISTORY = ("docs/results/", "docs/appendix/")
"""What was measured or tried under the names of its day."""

MEASURED = "docs/synthesis.md"
"""Quotes modules of measured netlists by their names."""

HARDWARE = ("latte_hw/lib/", "latte_hw/core/", "latte_hw/params/", "latte_hw/system/", "tests/lib/", "tests/core/")
TABLES = ("latte_hw/lib/dot/", "latte_hw/estimate/", "latte_hw/params/", "tests/lib/")


@dataclass(frozen=True)
class Word:
    """What must not occur, as a regular expression whose case does not matter, between letters of other words.

    ``where`` limits it to files that begin so; files in ``exempt`` may use it. ``bad`` is an example that it finds,
    ``good`` one that it leaves alone.
    """

    pattern: str
    instead: str
    bad: str
    good: str = ""
    where: tuple[str, ...] = ("",)
    exempt: tuple[str, ...] = ()

    @property
    def finds(self) -> re.Pattern[str]:
        """Not within a longer word; an underscore, a digit or a capital after a small letter ends one."""
        begins = "(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))"
        ends = "(?![a-z])(?!(?<=[A-Z])[A-Z])"
        return re.compile(f"{begins}(?i:{self.pattern}){ends}")


WORDS = [
    Word(r"laws?", "bound, performance model", "CYCLE_LAWS", "LAWN, flaws"),
    Word(r"reaches_far", "pipeline.<hop>", "params.reaches_far"),
    Word(r"way is far|(?:is|lies?) far away", "long route, extra register slice", "if the way is far", where=HARDWARE),
    Word(r"relay(?:s|ed|ing)?", "register slice", "rows_relay", exempt=(MEASURED,)),
    Word(r"(?<=_)arrivals?", "register slice", "thresholds_arrival", "its arrival", exempt=(MEASURED,)),
    Word(r"queries_apart", "initiation interval", "params.queries_apart"),
    Word(r"rows_checked_apart", "row gap", "rows_checked_apart"),
    Word(r"rows_apart", "extra row slots", "rows_apart"),
    Word(r"dealers?", "dispatcher", "Dealer", "idealer"),
    Word(r"deals?|dealt|dealing", "dispatched", "still to be dealt", "ideal", where=("latte_hw/",)),
    Word(r"(?:row[ _]?)?mergers?", "in-order collector", "RowMerger", "merge"),
    Word(r"told(?! apart)", "reported, notified", "bad packets are told", "two builds are told apart"),
    Word(r"tells? (?:whether|if|which|that|when)|tell_if", "reports", "tells whether", "as far as we can tell"),
    Word(r"side_by_side", "packed", "self.side_by_side", "Heads run side by side"),
    Word(r"side by side", "packed table", "query parts side by side", where=TABLES),
    Word(r"shel(?:f|ves)", "packed table", "DeepShelf", "itself"),
    Word(r"table[ _]?dots?", "distributed arithmetic", "TableDot", "table, dot product"),
    Word(r"g(?:ives?|iven|ave|iving)[ _]back", "releases", "gives_back", "given a background"),
    Word(r"g(?:ives?|iven|ave|iving) (?:\S+ ){1,3}back", "releases", "gives its K/V buffer back", "back-pressure"),
    Word(r"on[ _]offer", "pending", "the query on offer"),
    Word(
        r"(?<!c_)void(?!\s*\*|\)| \w+\(| \(\*)",
        "don't care",
        "void until valid",
        "static void start_layer(int x), void (*wait)(void), ctypes.c_void_p",
        exempt=("latte_hw/emit/keywords.py",),
    ),
    Word(r"hold[- _]?ups?(?! to)", "back-pressure, idle cycles", "hold-ups", "as they hold up to two"),
    Word(r"h(?:olds|eld|olding)[ _]up(?! to)", "stalls, stalled", "never held up", "holds up to two keys"),
    Word(r"mend(?:s|ed|ing)?", "fixes, remedy", "Mends only.", "recommended"),
    Word(r"normali[sz]ers?", "divider", "RowNormalisers", "UNNORMALISERS"),
    Word(r"normali[sz]e_\w+", "division_<quantity>", "normalise_lanes", "normalise("),
    Word(r"kept[ _]pairs?", "key pairs", "kept_pairs", where=("latte_hw/", "sim/", "tests/core/", "tests/sim/")),
    Word(r"marked[ _]pages?", "generated section", "marked_page", "the marked part"),
    Word(r"plug(?:s|ged|gable|ging)?", "attention backend", "nn.plug", "unplugged"),
    Word(r"subjects?", "model under test", "Subject", "subjective", where=("golden/", "sim/", "tests/")),
    Word(r"spread", "fan-out copies", "spread(m, value)", "widespread", where=HARDWARE),
    Word(r"reserved?[ _]?fifos?", "credit FIFO", "ReservedFifo"),
    Word(r"[io]_room|[io]_reserve", "credits", "landing.o_room", "row_room", exempt=(MEASURED,)),
    Word(r"lone", "single", "lone_query", "alone, clone"),
    Word(
        r"together(?= ?==?|: int| [-*/<>])", "R: kept_per_cycle, B: queries_per_scan", "together = 2", "read together"
    ),
    Word(r"(?<=/)timing\.py", "latency.py", "latte_hw/params/timing.py", "synth/timing_report.py"),
]


@cache
def texts() -> dict[str, str]:
    """Every file that is searched, by its path; its own path is its first line."""
    found = {}
    for name in SEARCHED:
        start = ROOT / name
        for path in sorted(start.rglob("*")) if start.is_dir() else [start]:
            relative = path.relative_to(ROOT).as_posix()
            skipped = relative.startswith(HISTORY) or "__pycache__" in relative or path == Path(__file__)
            if path.is_file() and path.suffix in SUFFIXES and not skipped:
                found[relative] = f"{relative}\n{path.read_text()}"
    found["CONTRIBUTING.md"] = re.sub(r"^\| we say .*?\n\n", "\n", found["CONTRIBUTING.md"], flags=re.M | re.S)
    return found


def uses(word: Word) -> Iterator[str]:
    """Where a word occurs: path, line (0: the path itself) and what was found."""
    for path, text in texts().items():
        if path.startswith(word.where) and path not in word.exempt:
            for found in word.finds.finditer(text):
                yield f"{path}:{text.count(chr(10), 0, found.start())}: {found[0]}"


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.bad)
def test_one_word_per_idea(word: Word) -> None:
    found = list(uses(word))
    assert not found, f"say {word.instead} instead:\n" + "\n".join(found)


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.bad)
def test_each_pattern_finds_what_it_should(word: Word) -> None:
    assert word.finds.search(word.bad)
    assert not word.finds.search(word.good)
    assert not word.finds.search(word.instead)


def test_everything_is_searched() -> None:
    paths = texts()
    assert {"README.md", "CONTRIBUTING.md", "Makefile", "docs/README.md", "latte_hw/core/head.py"} <= set(paths)
    assert not any(path.startswith(HISTORY) for path in paths)
    assert "relay, arrival, far" not in paths["CONTRIBUTING.md"], "its table names the words that it is about"
