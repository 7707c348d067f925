"""`latte train-vit`: the command line of :mod:`golden.train.vit_trainer`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from golden.train.options import IMAGES_HELP, DeviceOption, SplitSeedOption, needs_torch
from latte_hw.cli.field_help import example
from latte_hw.cli.options import JsonOption
from latte_hw.config.errors import LatteError


def register(app: typer.Typer) -> None:
    app.command("train-vit", epilog=example("latte train-vit --images digits --model digits --steps 600 -o build/vit"))(
        train_vit_command
    )


def train_vit_command(
    images: Annotated[str, typer.Option("--images", metavar="SOURCE", help=IMAGES_HELP)],
    model: Annotated[str, typer.Option("--model", metavar="SIZE", help="deit-ti, small or digits.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="Folder of the trained model.")],
    steps: Annotated[int, typer.Option("--steps", min=1, help="Training steps.")] = 2400,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images of a step.")] = 512,
    lr: Annotated[float, typer.Option("--lr", help="Greatest learning rate.")] = 1e-3,
    sharpness: Annotated[
        float, typer.Option("--sharpness", help="Weight of the loss on attention that spreads over many keys; 0: none.")
    ] = 0.1,
    held_out: Annotated[
        float, typer.Option("--held-out", help="Held-out share, where the images have no parts of their own.")
    ] = 0.25,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the weights and the order of images.")] = 0,
    split_seed: SplitSeedOption = 0,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Train a vision transformer from scratch, for `latte train` and `latte evaluate` with the same --images.

    Writes a folder that transformers loads (config.json, model.safetensors) with the record of the run.
    """
    with needs_torch("train-vit"):
        from golden.models.vit import find_size, new_vit, save_vit
        from golden.train.images import Request, load_images
        from golden.train.run import environment
        from golden.train.vit_trainer import VitPlan, train_vit
        from golden.train.workers import Workers

    size = find_size(model)
    plan = VitPlan(steps=steps, batch=batch, lr=lr, sharpness=sharpness, seed=seed)
    _check_folder(output)
    where = Workers(device).device
    _say(f"making images {images}" if images.startswith("rendered") else f"reading images {images}")
    found = load_images(
        Request(images, size.image, size.patch, size.channels, share=held_out, seed=split_seed, device=str(where))
    )
    _say(f"training a {model} of {size.tokens} tokens on {len(found.train):,} images, {steps} steps of {batch}")
    trained = new_vit(size, found.classes, seed)
    record = {"command": "latte train-vit", "size": model, "tokens": size.tokens,
              **train_vit(trained, found, plan, where, _say), **environment(where)}  # fmt: skip
    save_vit(trained, output, record)
    summary = {"folder": str(output), **{name: x for name, x in record.items() if name != "history"}}
    line = f"{output}: top-1 {record['top_1']:.2%} on {len(found.held_out):,} held-out images, {record['seconds']} s"
    typer.echo(json.dumps(summary, indent=2) if as_json else line)


def _check_folder(folder: Path) -> None:
    """Before the work: the folder can be made."""
    from golden.files.npz import check_output_folder

    check_output_folder(folder)
    if folder.exists() and not folder.is_dir():
        raise LatteError(f"output {folder} is a file; name a folder")


def _say(line: str) -> None:
    typer.echo(line, err=True)
