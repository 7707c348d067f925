"""Fills the figures of README and `docs/` from the committed results: `python -m sim.reports.pages`.

`make rtl` and `make bench` run it at their end. A part says so itself when its results are older than the Verilog in
`rtl_out/`.
"""

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from latte_hw.config.errors import LatteError
from latte_hw.config.presets import PRESETS
from latte_hw.emit.generated_section import with_part
from latte_hw.host import terminal
from sim.reports.results import FOLDER

ROOT = FOLDER.parents[1]
RTL = ROOT / "rtl_out"
COMMAND = "python -m sim.reports.pages"


def main() -> None:
    """Rewrite every page that has such a part."""
    try:
        for name in PAGES:
            page = ROOT / name
            page.write_text(filled(name, page.read_text()))
    except (OSError, LatteError) as error:
        sys.exit(f"sim.reports.pages: {error}")


def filled(name: str, text: str) -> str:
    """The text of the page ``name`` with its parts made anew.

    Raises :class:`LatteError` when the text lacks one of the page's parts or a result has not what the part needs.
    """
    for part, make in PAGES[name].items():
        try:
            text = with_part(text, part, make())
        except (KeyError, ValueError) as error:
            raise LatteError(f"the part {part} of {name} needs results that are not there: {error}") from None
    return text


# --- what is read -----------------------------------------------------------------------------------------------------


def rtl_lines() -> dict[str, int]:
    """Lines of every committed `latte_head.v`, by preset in the order of their sizes."""
    found = {path.parent.name: path.read_text().count("\n") for path in RTL.glob("*/latte_head.v")}
    return dict(sorted(found.items(), key=lambda one: one[1]))


def _result(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return result


# --- parts ------------------------------------------------------------------------------------------------------------


def rtl_part() -> str:
    """Presets in `rtl_out/` with their lines, for the middle of a sentence."""
    named = [f"`{name}` ({lines:,} lines)" for name, lines in rtl_lines().items()]
    return f" {' and '.join(named)} "


def presets_part() -> str:
    """A row per preset, and a warning when the bench ran on other Verilog than the committed one."""
    bench, committed = _result("one_head"), rtl_lines()
    rows = []
    for name, config in PRESETS.items():
        run = bench["presets"][name]
        rows.append(
            (
                f"`{name}`", f"{config.head_dim}", f"{config.keys_per_cycle}", f"{run['keys']:,}",
                _percent(run["keys_pruned"]), _percent(run["bit_operation_change"]), f"{run['cycles_per_query']:.2f}",
                f"{run['bound']:.2f}", f"{committed.get(name, bench['generate'][name]['lines']):,}",
            )
        )  # fmt: skip
    titles = ["preset", "head_dim", "P", "keys", "keys pruned", "bit operations", "cycles per query", "bound"]
    older = [
        f"`{name}` had {bench['generate'][name]['lines']:,} lines"
        for name, lines in committed.items()
        if bench["generate"][name]["lines"] != lines
    ]
    warning = ["", f"Measured before the last change of the Verilog, when {' and '.join(older)}."] if older else []
    return "\n".join(["", *_table([*titles, "lines of Verilog"], rows), *warning, ""])


def pace_part() -> str:
    """How long golden model, emission and simulation take."""
    bench = _result("one_head")
    golden, run = bench["golden"], bench["simulate_1024"]
    return (
        f"\nThe golden model takes {golden['ratio']:.1f} times as long as PyTorch's float32 attention "
        f"({golden['shape']},\nall stages, same run), and {golden['peak_mib_4096']:.0f} MiB for a head of 4096 × 4096. "
        f"The Verilog of `gpt2` is written\nin {bench['generate']['gpt2']['seconds']:.0f} s; a full causal 1024 × 1024 "
        f"head of it takes {run['simulate_s']:.0f} s under Verilator ({run['cycles']:,} cycles).\n"
    )


def accuracy_part() -> str:
    """Errors against float64, a row per width of the softmax weights."""
    rows = []
    for name, errors in _result("one_head")["accuracy"].items():
        if name.startswith("prob_bits_"):
            greatest, mean = ((f"{errors[of]:.4f}", f"{errors[f'{of}_allowed']:g}") for of in ("max", "mean"))
            rows.append((name.removeprefix("prob_bits_"), *greatest, *mean))
    return "\n".join(["", *_table(["`prob_bits`", "greatest error", "allowed", "mean error", "allowed"], rows), ""])


def latency_part() -> str:
    """Least and greatest latency of a single query on the trace, with the bounds."""
    run = _result("one_head")["single_query"]["gpt2"]
    return f" {_span(run['latency'])} cycles measured, bounds {_span(run['bound'])} "


def soak_part() -> str:
    """What `make soak` has covered."""
    soak = _result("soak")
    return (
        f"\n{soak['elements']:,} output elements of {soak['seeds']} seeds in {len(soak['configurations'])} "
        f"configurations: {soak['mismatches']} differ from the golden model,\n{soak['lost_or_extra_beats']} beats were "
        f"lost or came too many. {soak['resets']['recoveries']:,} interruptions: the first result afterwards was wrong "
        f"{soak['resets']['wrong_first_results']} times.\n{soak['simulation_seconds'] / 60:.0f} minutes of "
        f"simulation, {soak['cycles']:,} cycles.\n"
    )


def throughput_part() -> str:
    """Queries of several head cores in those of one."""
    runs = [run for run in _result("top_throughput")["runs"] if run["cores"] > 1]
    each = [f"{run['cores']} head cores answer {run['times_one_core']:.2f} times" for run in runs]
    return f" {' and '.join(each)} "


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    titles = list(titles)
    return [f"| {' | '.join(row)} |" for row in (titles, ["---", *["---:"] * (len(titles) - 1)], *rows)]


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %".replace("-", "−")


def _span(values: list[int]) -> str:
    return f"{min(values)} to {max(values)}"


PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"rtl": rtl_part},
    "docs/choosing-a-size.md": {"presets": presets_part, "pace": pace_part},
    "docs/accuracy.md": {"accuracy": accuracy_part},
    "docs/multi-head.md": {"soak": soak_part, "throughput": throughput_part},
    "docs/limits.md": {"latency": latency_part},
}
"""Pages with their parts, and what makes each."""


if __name__ == "__main__":
    terminal.run(main, "sim.reports.pages")
