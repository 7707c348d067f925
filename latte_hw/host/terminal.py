"""Running a command for a person: its output in whatever characters the terminal has, its failures in one sentence."""

import codecs
import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from latte_hw.config.errors import LatteError, MismatchError

_HANDLER = "latte-plain"

PLAIN = {
    "−": "-",
    "–": "-",
    "—": "-",
    "·": "*",
    "×": "x",
    "…": "...",
    "≤": "<=",
    "≥": ">=",
    "→": "->",
    "²": "^2",
    "½": "1/2",
    "√": "sqrt",
    "Σ": "sum",
    "τ": "tau",
    "γ": "gamma",
    "λ": "lambda",
    "α": "alpha",
    "β": "beta",
    "κ": "kappa",
    "│": "|",
    "─": "-",
    "━": "-",
    "╭": "+",
    "╮": "+",
    "╰": "+",
    "╯": "+",
}
"""What stands for a character that the output's encoding does not have; others become a question mark."""


def print_plainly() -> None:
    """From here on, standard output and error print in any encoding; what it lacks is spelled in plain characters."""
    codecs.register_error(_HANDLER, _spelled)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # None, closed, or not a text file of the interpreter's
            stream.reconfigure(errors=_HANDLER)  # type: ignore[union-attr]


def _spelled(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(letter, "?") for letter in error.object[error.start : error.end]), error.end


def run(main: Callable[[], int | None], name: str = "latte") -> NoReturn:
    """Run a command and exit with its code.

    Bad input and a machine that cannot do it (a full disk, a folder that cannot be written) are one sentence on
    standard error and exit code 2, a mismatch is exit code 1, an interruption 130.
    """
    print_plainly()
    try:
        code = main() or 0
        if sys.stdout is not None:
            sys.stdout.flush()
    except LatteError as error:
        code = _report(name, str(error), 2)
    except MismatchError as error:
        code = _report(name, str(error), 1)
    except BrokenPipeError:  # whoever read the output has seen enough
        code = 128 + 13
    except OSError as error:
        code = _report(name, _sentence(error), 2)
    except KeyboardInterrupt:
        code = _report(name, "interrupted", 130)
    _drop_unwritten()
    sys.exit(code)


def _report(name: str, sentence: str, code: int) -> int:
    with suppress(OSError, ValueError):
        print(f"{name}: {sentence}", file=sys.stderr)
    return code


def _sentence(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" for {error.filename}" if error.filename else ""
        return f"there is no space left{where}: free some, or set TMPDIR, LATTE_BUILD or -o to folders with space"
    return f"{error.filename} cannot be used: {reason}" if error.filename else reason


def _drop_unwritten() -> None:
    """Keep the interpreter from complaining, as it ends, of output that nobody takes any more."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
