"""`latte synth`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from latte_hw.cli.field_help import fields_and_example
from latte_hw.cli.options import ConfigOption, CoreOption, JsonOption, PresetOption, SetOption
from latte_hw.config import Core
from latte_hw.config.errors import LatteError
from latte_hw.config.loading import check_head_core, resolve_config


def register(app: typer.Typer) -> None:
    app.command(
        epilog=fields_and_example("latte synth --target ecp5-85k --preset tiny --set table_queries=1 -o build/synth")
    )(synth)


def synth(
    target: Annotated[str, typer.Option("--target", metavar="NAME", help="ecp5-85k, xc7, xcup, ice40 or generic.")],
    preset: PresetOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    core: CoreOption = Core.LATTE,
    block: Annotated[str, typer.Option("--block", metavar="NAME", help="One block of the head by itself.")] = "head",
    place_and_route: Annotated[
        bool, typer.Option("--place-and-route", help="Place and route as well, which gives the clock frequency.")
    ] = False,
    seeds: Annotated[str, typer.Option("--seeds", metavar="N,N", help="Seeds to place and route with.")] = "1,2,3",
    speed: Annotated[int, typer.Option("--speed", metavar="N", help="Speed grade: 6, 7 or 8.")] = 8,
    no_dsp: Annotated[bool, typer.Option("--no-dsp", help="Build every multiplier from LUTs.")] = False,
    dsp_products: Annotated[
        int | None,
        typer.Option("--dsp-products", metavar="N", help="Byte products that may go to DSP blocks; others to LUTs."),
    ] = None,
    trim: Annotated[
        bool,
        typer.Option("--trim", help="Free the ends of carry chains, and unused address wires, before place and route."),
    ] = False,
    placer: Annotated[
        str, typer.Option("--placer", metavar="NAME", help="Of nextpnr: heap, or static for full chips.")
    ] = "heap",
    router: Annotated[
        str, typer.Option("--router", metavar="NAME", help="Of nextpnr: router1 or router2.")
    ] = "router1",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder for synth.json and synth.md.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Synthesise a core or a block: resources of every module, checks, and with place and route its clock frequency.

    The exit code is 1 when a check found a latch, a loop, or an open or doubly driven wire.
    """
    check_head_core(core, "latte synth")
    chosen = resolve_config(preset, config, settings, core=core)

    from latte_hw.synth import flow, report
    from latte_hw.synth.targets import target_called

    job = flow.Job(
        name=preset or (config.stem if config else "tiny"),
        config=chosen,
        target=target_called(target),
        block=block,
        dsp=not no_dsp,
        products=dsp_products,
        trim=trim,
        seeds=_seeds(seeds) if place_and_route else (),
        placer=placer,
        router=router,
        speed=speed,
    )
    report.check_folder(output)
    result = flow.synthesise(job, command_line(sys.argv[1:]), lambda text: typer.echo(text, nl=False, err=True))
    if output is not None:
        report.write(output, result)
    if as_json:
        typer.echo(report.to_json(result), nl=False)
    else:
        report.show(result)
    if any(problem["wrong"] for problem in result["problems"]):
        raise typer.Exit(1)


def _seeds(text: str) -> tuple[int, ...]:
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise LatteError(f"--seeds takes whole numbers with commas between them, not {text!r}") from None
    if min(seeds) < 0:
        raise LatteError(f"--seeds must be 0 or more, not {min(seeds)}")
    return seeds


def command_line(arguments: list[str]) -> str:
    """The command to cite: file names without the folders of this machine."""
    return shlex.join(["latte", *(Path(part).name if Path(part).is_absolute() else part for part in arguments)])
