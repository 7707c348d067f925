"""``python -m golden.experiments``: `latte experiments` where the package is not installed, on a GPU machine say."""

import sys

import typer

from golden.experiments.commands import experiments
from latte_hw.config.errors import LatteError

try:
    experiments(prog_name="latte experiments")
except LatteError as error:
    typer.echo(f"latte: {error}", err=True)
    sys.exit(2)
