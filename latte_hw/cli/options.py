"""Command-line options that mean the same in every command."""

from pathlib import Path
from typing import Annotated

import typer

from latte_hw.config import Core
from latte_hw.config.presets import PRESETS

PresetOption = Annotated[
    str | None, typer.Option("--preset", metavar="NAME", help=f"Named configuration: {', '.join(PRESETS)}.")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="JSON file with configuration fields.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change one field; may be repeated.")
]
ThresholdsOption = Annotated[
    Path | None,
    typer.Option("--thresholds", metavar="FILE", help="Thresholds file of latte train, instead of those in IN.npz."),
]
LayerOption = Annotated[
    int | None, typer.Option("--layer", min=0, metavar="N", help="Layer of --thresholds that IN.npz is of.")
]
CoreOption = Annotated[
    Core,
    typer.Option(
        "--core", metavar="NAME", help="latte; dense: int8, prunes nothing; top: latte cores behind AXI ports."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
