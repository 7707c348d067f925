"""The `latte` command: the commands of this package, and those that golden model and simulation join by entry points.

Nothing here imports upwards: an installed package adds commands by an entry point of the group `latte.commands`, a
function that takes the app. Each does so from a light module; whatever is heavy is imported when a command runs, so
that `--help` answers at once.
"""

import sys
from importlib.metadata import entry_points

import typer

from latte_hw.cli import estimate, generate, synth
from latte_hw.config.errors import LatteError, MismatchError

COMMANDS = "latte.commands"
"""Group of the entry points by which packages join their commands."""

app = typer.Typer(
    name="latte",
    help="Low-precision, threshold-pruned attention: Verilog, golden model, simulation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
generate.register(app)
for _joined in sorted(entry_points(group=COMMANDS)):
    _joined.load()(app)
for _own in (synth, estimate):
    _own.register(app)


def main() -> None:
    """Run the command line: exit code 0 on success, 1 on a mismatch, 2 on bad input."""
    try:
        sys.exit(app(standalone_mode=False))
    except typer.TyperException as error:
        sys.exit(_report(_usage_sentence(error), 2))
    except LatteError as error:
        sys.exit(_report(str(error), 2))
    except MismatchError as error:
        sys.exit(_report(str(error), 1))
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(_report("interrupted", 130))


def _report(sentence: str, code: int) -> int:
    typer.echo(f"latte: {sentence}", err=True)
    return code


def _usage_sentence(error: typer.TyperException) -> str:
    """One sentence for a command line that does not parse, naming the command whose --help has the answer."""
    context = getattr(error, "ctx", None)
    where = f"; see {context.command_path} --help" if context else ""
    return f"{error.format_message().rstrip('.')}{where}"


if __name__ == "__main__":
    main()
