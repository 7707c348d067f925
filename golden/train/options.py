"""Command-line options that several training commands share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from latte_hw.config.errors import LatteError

ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME",
        help="Hugging Face hub name, folder, .gguf file, or package:NAME for the one in a pip package.",
    ),
]
SOURCE_HELP = "Text file, folder (Brown corpus or .txt files), or hf:NAME:CONFIG:SPLIT for a data set on the hub."
TokensOption = Annotated[
    Path | None, typer.Option("--tokens", metavar="FILE", help="Token file that latte tokens has written (.npz).")
]
TextOption = Annotated[str | None, typer.Option("--text", metavar="SOURCE", help=SOURCE_HELP)]
IMAGES_HELP = "digits, rendered[:TRAIN[:HELD_OUT]], a folder of class folders, or hf:NAME:CONFIG:SPLIT."
ImagesOption = Annotated[str | None, typer.Option("--images", metavar="SOURCE", help=IMAGES_HELP)]
ChunkOption = Annotated[int, typer.Option("--chunk", min=2, help="Tokens of a chunk of the split (longest window).")]
ShareOption = Annotated[float, typer.Option("--held-out", help="Share of the text that is held out.")]
SplitSeedOption = Annotated[int, typer.Option("--split-seed", min=0, help="Seed of the split.")]
WindowOption = Annotated[int, typer.Option("--window", min=2, help="Tokens of a window.")]
DeviceOption = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1 …")]
EstimateOption = Annotated[
    int | None, typer.Option("--estimate-bits", help="Estimate from so many bits, with the same scores (8: the limit).")
]
BatchOption = Annotated[int, typer.Option("--batch", min=1, help="Windows of a step, or of a pass when evaluating.")]


@contextmanager
def needs_torch(command: str) -> Iterator[None]:
    """Within the block, a missing extra is a sentence."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "transformers"):
            raise
        raise LatteError(
            f"latte {command} needs {error.name}, which the extra `train` brings: pip install 'latte-hw[train]'"
        ) from None
