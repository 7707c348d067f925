"""`make demo`: the main job from end to end, with a table at the end.

Emits the Verilog of a full-size preset, runs that Verilog on the committed trace of a real model, holds every stage
against the golden model and says what pruning saved.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from golden.analysis.metrics import bit_operations, keep_ratio
from golden.attention import attention
from golden.files.tensors import load
from latte_hw.config.presets import preset
from latte_hw.emit.head import generate
from latte_hw.host import terminal
from latte_hw.params import HeadParams
from sim.reports.measure import HeadPace, head_paces
from sim.simulate import compare, simulate
from sim.simulators import builds

ROOT = Path(__file__).parents[2]
TRACE = ROOT / "traces" / "smollm2-135m.npz"
PRESET = "smollm2-135m"
STAGES = ("estimate", "keep", "score", "prob", "out")

console = Console()


def main() -> int:
    """Exit code 0 if the Verilog equals the golden model and keeps its pace, 1 otherwise."""
    builds.check("verilator")
    began = time.monotonic()
    config = preset(PRESET)
    folder = ROOT / "build" / "demo"
    _step(1, f"emitting the Verilog of {PRESET}: {config.max_keys} keys, D = {config.head_dim}, P = "
             f"{config.keys_per_cycle}")  # fmt: skip
    emitted = generate(config, folder)

    tensors = load(TRACE, config)
    heads, queries, _ = tensors.q8.shape
    _step(2, f"golden model on {TRACE.relative_to(ROOT)}: {heads} heads x {queries} queries x {queries} keys")
    expected = attention(tensors, config)

    _step(3, "running the Verilog under Verilator (the first time it is compiled, one to two minutes)")
    with Progress(
        TextColumn("      {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    ) as bar:
        task = bar.add_task("output rows", total=heads * queries)
        got = simulate(tensors, config, simulator="native", progress=lambda rows: bar.update(task, completed=rows))
        bar.update(task, completed=heads * queries)

    _step(4, "comparing every stage with the golden model")
    difference = compare(expected, got)
    paces = head_paces(got, expected["keep"], tensors.causal_offset, config)
    mismatches = {name: int(np.count_nonzero(expected[name] != got[name])) for name in STAGES}
    console.print(_table(expected, paces, HeadParams(config)))
    compared = sum(expected[name].size for name in STAGES)
    console.print(
        f"mismatches: {sum(mismatches.values())} of {compared:,} values ({', '.join(STAGES)}), "
        f"{int(got['cycles'].sum()):,} cycles simulated"
    )
    if difference is not None:
        console.print(f"[red]first difference: {difference}")
    console.print(f"Verilog: {emitted.verilog.relative_to(ROOT)}, described by {emitted.description.relative_to(ROOT)}")
    console.print(f"done in {time.monotonic() - began:.0f} s")
    return 0 if difference is None and all(pace.within for pace in paces) else 1


def _step(number: int, text: str) -> None:
    console.print(f"[bold]{number}/4[/] {text}", highlight=False)


def _table(expected: dict[str, Any], paces: list[HeadPace], params: HeadParams) -> Table:
    table = Table(title="SmolLM2-135M, causal pairs counted", title_justify="left")
    for column in ("head", "keys pruned", "bit operations", "cycles per query", "bound", "latency", "bound"):
        table.add_column(column, justify="right")
    counters = expected["counters"]
    for head, pace in enumerate(paces):
        _row(table, str(head), counters[head], params, pace)
    means = HeadPace(
        cycles_per_query=float(np.mean([pace.cycles_per_query for pace in paces])),
        bound=float(np.mean([pace.bound for pace in paces])),
        kept=float(np.mean([pace.kept for pace in paces])),
        first_latency=max(pace.first_latency for pace in paces),
        latency_bound=max(pace.latency_bound for pace in paces),
        total=sum(pace.total for pace in paces),
        total_bound=sum(pace.total_bound for pace in paces),
    )
    table.add_section()
    _row(table, "all", counters.sum(axis=0), params, means)
    return table


def _row(table: Table, name: str, counters: Any, params: HeadParams, pace: HeadPace) -> None:
    seen, _, kept = (int(count) for count in counters)
    table.add_row(
        name,
        f"{100 * (1 - keep_ratio(seen, kept)):.2f} %",
        f"{100 * bit_operations(seen, kept, params).change:+.2f} %",
        f"{pace.cycles_per_query:.2f}",
        f"{pace.bound:.2f}",
        str(pace.first_latency),
        str(pace.latency_bound),
    )


if __name__ == "__main__":
    terminal.run(main, "demo")
