"""The `latte` command: the commands of this package, and those that golden model and simulation join by entry points.

Nothing here imports upwards: an installed package adds commands by an entry point of the group `latte.commands`, a
function that takes the app. Each does so from a light module; whatever is heavy is imported when a command runs, so
that `--help` answers at once.
"""

import platform
from importlib import metadata
from importlib.metadata import entry_points
from typing import Annotated

import typer

from latte_hw import __version__
from latte_hw.cli import estimate, generate, synth
from latte_hw.config.errors import LatteError
from latte_hw.host import terminal

COMMANDS = "latte.commands"
"""Group of the entry points by which packages join their commands."""

app = typer.Typer(
    name="latte",
    help="Low-precision, threshold-pruned attention: Verilog, golden model, simulation.",
    epilog="Example: latte generate --preset gpt2 -o build/gpt2",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
generate.register(app)
for _joined in sorted(entry_points(group=COMMANDS)):
    _joined.load()(app)
for _own in (synth, estimate):
    _own.register(app)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"latte {__version__}, Amaranth {metadata.version('amaranth')}, Python {platform.python_version()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the versions and exit.")
    ] = False,
) -> None:
    """Options of `latte` itself; each does its work as it is read."""


def main() -> None:
    """Run the command line: exit code 0 on success, 1 on a mismatch, 2 on bad input."""
    terminal.run(_run)


def _run() -> int:
    try:
        return app(standalone_mode=False) or 0
    except typer.TyperException as error:
        raise LatteError(_usage_sentence(error)) from None
    except typer.Abort:
        raise KeyboardInterrupt from None


def _usage_sentence(error: typer.TyperException) -> str:
    """One sentence for a command line that does not parse, naming the command whose --help has the answer."""
    context = getattr(error, "ctx", None)
    where = f"; see {context.command_path} --help" if context else ""
    return f"{error.format_message().rstrip('.')}{where}"


if __name__ == "__main__":
    main()
