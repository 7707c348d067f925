"""`latte experiments`: the command line of :mod:`golden.experiments`."""

from pathlib import Path
from typing import Annotated

import typer

from golden.experiments.catalog import CATALOG, NAMES, chosen
from golden.train.options import DeviceOption, needs_torch
from latte_hw.cli.field_help import example
from latte_hw.config.errors import LatteError

RESULTS = Path("docs/results")
PAGES = Path("docs/experiments")

experiments = typer.Typer(name="experiments", help="Measure the method: eight experiments.", no_args_is_help=True)

NamesArgument = Annotated[list[str], typer.Argument(metavar="NAME…", help=f"all, or some of {', '.join(NAMES)}.")]


def register(app: typer.Typer) -> None:
    app.add_typer(experiments)


@experiments.command("list", epilog=example("latte experiments list"))
def list_command() -> None:
    """List the experiments and what each asks."""
    for entry in CATALOG:
        typer.echo(f"{entry.name:<16} {entry.question}")


@experiments.command("run", epilog=example("latte experiments run precision --quick -o build/results"))
def run_command(
    names: NamesArgument,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", help="Language model: hub name, folder, .gguf, package:NAME."),
    ] = None,
    tokens: Annotated[
        Path | None, typer.Option("--tokens", metavar="FILE", help="Token file that latte tokens has written (.npz).")
    ] = None,
    thresholds: Annotated[
        list[Path] | None,
        typer.Option(
            "--thresholds", metavar="FILE", help="Trained thresholds; the first that fits is taken; repeatable."
        ),
    ] = None,
    vision: Annotated[
        list[str] | None,
        typer.Option("--vision", metavar="MODEL=IMAGES", help="Vision model and its images; repeatable."),
    ] = None,
    keep: Annotated[float, typer.Option("--keep", help="Share of valid pairs to keep, of language models.")] = 0.1,
    clip: Annotated[
        float,
        typer.Option("--clip", help="Share of the greatest magnitude at which q and k saturate."),
    ] = 1.0,
    window: Annotated[int | None, typer.Option("--window", min=16, help="Tokens of a window.")] = None,
    windows: Annotated[int | None, typer.Option("--windows", min=2, help="Held-out windows.")] = None,
    calibration: Annotated[
        int | None, typer.Option("--calibration", min=1, help="Training windows to calibrate on.")
    ] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="Windows of a pass or a training step.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Training steps where no file fits.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything drawn.")] = 0,
    device: DeviceOption = "auto",
    budget: Annotated[
        float | None, typer.Option("--budget-seconds", min=0, help="Start no further experiment after that long.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes; without --model, a tiny model.")] = False,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Folder for the result files.")
    ] = RESULTS,
) -> None:
    """Run experiments; each leaves FOLDER/NAME.json, which grows while it runs."""
    entries = chosen(names)
    if not 0 < keep <= 1:
        raise LatteError(f"the keep ratio must be above 0 and at most 1, not {keep:g}")
    with needs_torch("experiments"):
        from golden.experiments.context import Job
        from golden.experiments.run import run
        from golden.experiments.sizes import FULL, QUICK
        from golden.files.npz import check_output_folder

    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LatteError(f"output folder {output} cannot be made: {error.strerror}") from None
    check_output_folder(output / "result.json")
    sizes = (QUICK if quick else FULL).changed(
        window=window, held_out=windows, calibration=calibration, batch=batch, steps=steps
    )
    job = Job(
        sizes=sizes, model=model, tokens=tokens, thresholds=tuple(thresholds or ()), vision=tuple(vision or ()),
        keep=keep, seed=seed, device=device, quick=quick, clip=clip,
    )  # fmt: skip
    written, left = run(entries, job, output, budget, lambda line: typer.echo(line, err=True))
    for path in written:
        typer.echo(str(path))
    if left:
        typer.echo(f"budget spent, not started: {', '.join(left)}", err=True)


@experiments.command("plot", epilog=example("latte experiments plot precision --results build/results"))
def plot_command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME…", help="Experiments (default: all with a result file).")
    ] = None,
    results: Annotated[Path, typer.Option("--results", metavar="FOLDER", help="Folder of the result files.")] = RESULTS,
    pages: Annotated[
        Path | None, typer.Option("--pages", metavar="FOLDER", help="Pages whose tables are written anew.")
    ] = None,
) -> None:
    """Draw pictures from result files, beside them, and write the tables of the pages anew."""
    from golden.experiments.record import path_of

    entries = chosen(names) if names else [one for one in CATALOG if path_of(results, one.name).is_file()]
    if not entries:
        raise LatteError(f"there is no result file in {results}: make some with latte experiments run")
    try:
        from golden.experiments.figures.draw import draw_all
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise LatteError(
            "latte experiments plot needs matplotlib, which the extra `train` brings: pip install 'latte-hw[train]'"
        ) from None
    folder = pages if pages is not None else (PAGES if PAGES.is_dir() else None)
    for path in draw_all([entry.name for entry in entries], results, folder):
        typer.echo(str(path))
