"""`latte generate` and `latte doctor`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from latte_hw.cli.field_help import example, fields_and_example
from latte_hw.cli.options import ConfigOption, CoreOption, JsonOption, PresetOption, SetOption
from latte_hw.config import Core, CoreConfig
from latte_hw.config.loading import resolve_config
from latte_hw.config.top import TopConfig
from latte_hw.emit.names import checked_name
from latte_hw.emit.packages.core_files import CoreFiles


def register(app: typer.Typer) -> None:
    app.command(
        epilog=fields_and_example("latte generate --preset gpt2 --set keys_per_cycle=16 -o build/gpt2", top=True)
    )(generate)
    app.command(epilog=example("latte doctor"))(doctor)


def generate(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write into; made if need be.")
    ],
    preset: PresetOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    core: CoreOption = Core.LATTE,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="Top module, and what files and other modules begin with; without it latte_head, dense_head or "
            "latte_top.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the Verilog of a configuration and a JSON file that describes it; for `top` also registers and packages."""
    top = checked_name(name, core)
    chosen = resolve_config(preset, config, settings, core=core)
    verilog, description, others = _emit(chosen, output, top)
    lines = verilog.read_text().count("\n")
    if as_json:
        summary = {
            "verilog": str(verilog),
            "description": str(description),
            "others": [str(path) for path in others],
            "lines": lines,
            "core": core.value,
            "name": top,
            "config": chosen.model_dump(mode="json"),
            "config_sha256": chosen.sha256(),
        }
        typer.echo(json.dumps(summary, indent=2))
        return
    typer.echo(f"{verilog}: {lines:,} lines of Verilog")
    typer.echo(f"{description}: configuration {chosen.sha256()[:12]}, ports and latencies")
    purposes = CoreFiles(top).purposes
    for path in others:
        typer.echo(f"{path}: {purposes[path.name]}")
    fields = chosen.model_dump(mode="json")
    typer.echo("  " + ", ".join(f"{name}={value}" for name, value in fields.items()))


def _emit(config: CoreConfig, output: Path, name: str) -> tuple[Path, Path, tuple[Path, ...]]:
    """The Verilog, its description, and what else is written."""
    if isinstance(config, TopConfig):
        from latte_hw.emit.top import generate as emit_top

        return emit_top(config, output, name)

    from latte_hw.emit.head import generate as emit

    emitted = emit(config, output, name=name)
    return emitted.verilog, emitted.description, ()


def doctor(as_json: JsonOption = False) -> None:
    """List every tool with its version, and what is missing, in plain words.

    The exit code is 1 when something is missing that every command needs.
    """
    from latte_hw.cli import doctor as examination

    findings = examination.examine()
    if as_json:
        typer.echo(json.dumps(examination.report(findings), indent=2))
    else:
        examination.show(findings)
    if not examination.core_works(findings):
        raise typer.Exit(1)
