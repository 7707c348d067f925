"""A synthesis result as a table on the terminal, as Markdown, and as files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latte_hw.config.errors import LatteError
from latte_hw.emit.head import write_files

HEADINGS = ("module", "LUT", "of it LUT RAM", "FF", "DSP", "block RAM", "own LUT", "own FF")
FIGURES = (
    ("total", "lut"), ("total", "lut_ram"), ("total", "ff"), ("total", "dsp"), ("total", "block_ram"),
    ("own", "lut"), ("own", "ff"),
)  # fmt: skip


def check_folder(folder: Path | None) -> None:
    """Raises :class:`LatteError` when results could not be written there, before the tools run for minutes."""
    if folder is None:
        return
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise LatteError(f"output folder {folder} cannot be made: {existing} is a file")


def write(folder: Path, result: Mapping[str, Any]) -> None:
    """Write `synth.json` and `synth.md`, both or neither."""
    write_files(folder, {"synth.json": to_json(result), "synth.md": markdown(result)})


def to_json(result: Mapping[str, Any]) -> str:
    return json.dumps(result, indent=1, ensure_ascii=False) + "\n"


def rows(result: Mapping[str, Any], deepest: int | None = None) -> list[list[str]]:
    """One row a module, indented by depth, as the headings say; ``deepest`` leaves out what lies further down."""
    table = []
    for module in result["modules"]:
        depth = module["module"].count(".")
        if deepest is None or depth <= deepest:
            name = "\u2003" * depth + module["module"].split(".")[-1]
            times = f" × {module['instances']}" if module["instances"] > 1 else ""
            table.append([name + times, *(f"{module[part][figure]:,}" for part, figure in FIGURES)])
    return table


def summary(result: Mapping[str, Any]) -> list[str]:
    """What there is to say beside the table."""
    unit, wrapper = result["target"]["block_ram_unit"], result["wrapper"]
    lines = [
        f"Figures include the modules inside, those marked own do not; block RAM in {unit}.",
        f"The wrapper's own {wrapper['lut']:,} LUT and {wrapper['ff']:,} FF are not counted.",
    ]
    routed = result["place_and_route"]
    if routed is None:
        lines.append("No clock frequency: nothing was placed and routed.")
    else:
        each = ", ".join(f"{one['fmax_mhz']} (seed {one['seed']}, {one['seconds']} s)" for one in routed["seeds"])
        packed = routed["registers_packed"]
        lines.append(
            f"Registers packed into {packed['block_rams']} block RAMs and {packed['products']} multipliers: "
            f"{packed['flip_flops']} flip-flops less."
        )
        if trimmed := routed.get("trimmed"):
            ends = f"{trimmed['carries_in']:,} that led in, {trimmed['carries_out']:,} that led out"
            lines.append(f"Cells at the ends of carry chains saved: {ends}.")
            lines.append(f"Unused address bits of LUT RAM tied to used ones: {trimmed['addresses']:,}.")
        lines.append(f"Fmax, median: {routed['fmax_mhz_median']} MHz at speed grade {routed['speed']}; {each}.")
        used = routed["utilisation_with_wrapper"].items()
        places = ", ".join(f"{kind} {place['used']:,} of {place['available']:,}" for kind, place in used)
        lines.append(f"Used, with the wrapper: {places}.")
        lines += [_path(one) for one in routed["seeds"] if one["critical_path"]]
        lines += [_slow_ends(one) for one in routed["seeds"] if one.get("slow_ends")]
    problems = result["problems"]
    lines += [f"{'WRONG' if p['wrong'] else 'note'}: {p['kind']} {p['where']}: {p['message']}" for p in problems]
    if not problems:
        lines.append("No latch, no loop, no open or doubly driven wire; every large memory is in block RAM.")
    return lines


def _path(one: Mapping[str, Any]) -> str:
    path = one["critical_path"]
    through = ", ".join(f"{step['module'] or 'wrapper'} {step['delay_ns']:.2f} ns" for step in path["modules"])
    delays = f"logic {path['logic_ns']:.2f} ns, routing {path['routing_ns']:.2f} ns, {path['levels']} levels"
    return f"Critical path, seed {one['seed']}: {through} ({delays}), from {path['begins']} to {path['ends']}."


def _slow_ends(one: Mapping[str, Any]) -> str:
    each = ", ".join(f"{ends['latest']} {ends['delay_ns']:.2f} ns ({ends['pins']})" for ends in one["slow_ends"])
    return f"Reached last, seed {one['seed']}, by groups of like names (pins in brackets): {each}."


def title(result: Mapping[str, Any]) -> str:
    without = "" if result["target"]["dsp"] else ", no DSP blocks"
    return f"{result['name']}: {result['core']} {result['block']} on {result['target']['title']}{without}"


def markdown(result: Mapping[str, Any], deepest: int | None = None) -> str:
    """A heading, the table, the summary."""
    lines = [
        f"### {title(result)}",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "|---" + "|---:" * (len(HEADINGS) - 1) + "|",
    ]
    lines += ["| " + " | ".join(row) + " |" for row in rows(result, deepest)]
    lines += ["", *(f"* {line}" for line in summary(result))]
    lines += ["", f"`{result['command']}`, " + ", ".join(f"{name} {v}" for name, v in result["versions"].items()), ""]
    return "\n".join(lines)


def show(result: Mapping[str, Any]) -> None:
    """Print the table and the summary."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title(result), title_justify="left")
    for place, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if place else "left", no_wrap=not place)
    for row in rows(result):
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    console.print(table)
    for line in summary(result):
        console.print(line, soft_wrap=True)
