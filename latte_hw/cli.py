"""The `latte` command: the roof over gateware, golden model and simulation, and the only module that sees all three.

Each package brings its commands in a light module of its own; whatever is heavy is imported when a command runs, so
that `--help` answers at once.
"""

import sys

import typer

import golden.commands
import latte_hw.commands
import latte_hw.estimate.commands
import latte_hw.synth.commands
import sim.commands
from latte_hw.errors import LatteError, MismatchError

app = typer.Typer(
    name="latte",
    help="Low-precision, threshold-pruned attention: Verilog, golden model, simulation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _module in (latte_hw.commands, golden.commands, sim.commands, latte_hw.synth.commands, latte_hw.estimate.commands):
    _module.register(app)


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
