"""`latte estimate`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from latte_hw.cli.field_help import fields_and_example
from latte_hw.cli.options import ConfigOption, CoreOption, JsonOption, PresetOption, SetOption
from latte_hw.config import Core
from latte_hw.config.loading import check_default_size, check_head_core, resolve_config


def register(app: typer.Typer) -> None:
    app.command(
        epilog=fields_and_example("latte estimate --preset gpt2 --set keys_per_cycle=10 --keep 0.1 --clock 150")
    )(estimate)


def estimate(
    preset: PresetOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    core: CoreOption = Core.LATTE,
    keep: Annotated[
        float, typer.Option("--keep", metavar="RATIO", help="Share of the valid keys that a typical pattern keeps.")
    ] = 0.15,
    queries: Annotated[
        int | None, typer.Option("--queries", metavar="N", help="Queries of the head; the last ones if it is causal.")
    ] = None,
    keys: Annotated[
        int | None, typer.Option("--keys", metavar="N", help="Keys of the head; as many as fit, unless given.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="FILE", help="Take the kept keys from what latte golden wrote."),
    ] = None,
    clock: Annotated[
        float | None, typer.Option("--clock", metavar="MHZ", help="Clock; else the one that was routed, if any.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Cycles, operations, memory and area of a core, and queries per second, without synthesis or simulation.

    Cycles are exactly those of a simulation; LUTs and flip-flops come from formulas fitted to synthesis.
    """
    check_head_core(core, "latte estimate")
    chosen = resolve_config(preset, config, settings, core=core)
    check_default_size(preset, config, chosen, {"the head": (max(keys or 0, queries or 0), None)})

    from latte_hw.estimate.summary import Request, summarize

    found = summarize(Request(chosen, keep, queries, keys, results, clock))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    pattern, cycles, operations, speed = (found[name] for name in ("pattern", "cycles", "operations", "speed"))
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column()
    rows: list[tuple[str, str, str]] = [
        ("queries", f"{pattern['queries']:,}", f"of {pattern['heads']} head{'s' * (pattern['heads'] > 1)}"),
        ("keys kept", f"{100 * pattern['keep_ratio']:.2f} %", pattern["source"]),
        ("cycles", f"{cycles['total']:,}", cycles["counted"]),
        ("cycles per query", f"{cycles['per_query']:,.2f}", f"the first takes {cycles['first_query']:,}"),
        ("operations per cycle", f"{operations['per_cycle']:,.0f}", operations["counted"]),
        ("of them busy", f"{100 * operations['busy']:.1f} %", f"{operations['per_query']:,.0f} per query"),
        ("memory", f"{found['memory']['bits']:,}", "bits, " + _parts(found["memory"]["blocks"])),
    ]
    for target, area in found["area"].items():
        figures = f"{area['lut']:,} LUT, {area['ff']:,} FF, {area['dsp']} DSP, {area['block_ram']:g} block RAM"
        rows.append((target, figures, "LUT: " + _parts(area["blocks"])))
    if not found["area"]:
        rows.append(("area", "–", "not estimated for the dense core: latte synth counts it"))
    if speed["clock_mhz"] is None:
        rows.append(("queries per second", "–", speed["clock_source"]))
    else:
        at = f"at {speed['clock_mhz']:g} MHz ({speed['clock_source']})"
        rows.append(("queries per second", f"{speed['queries_per_second']:,}", at))
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)


def _parts(blocks: dict[str, int], most: int = 4) -> str:
    """The largest parts of a sum."""
    largest = sorted(blocks.items(), key=lambda part: -part[1])[:most]
    return ", ".join(f"{name} {value:,}" for name, value in largest)
