"""What a core is called: the name of its top module, which all its modules and files begin with."""

import re

from latte_hw.config import Core
from latte_hw.config.errors import LatteError
from latte_hw.emit.keywords import language_of

DEFAULT_NAMES = {Core.LATTE: "latte_head", Core.DENSE: "dense_head", Core.TOP: "latte_top"}
"""Top modules of the cores that nobody has named."""

MOST_LETTERS = 64
"""Of a name: files and modules append to it, and file systems and tools have limits."""

WRAPPER_ENDING, TESTBENCH_ENDING = "_ip", "_tb"
"""What the names of the modules around a multi-head core append to that of the core."""

ENTRY_ENDING = "_entry"
"""What its C function appends to the name of the core's registers."""

FAMILY = "latte"
"""What the registers of :data:`DEFAULT_NAMES`' multi-head core are called, and the library that cores are in."""

_IDENTIFIER = re.compile(r"[A-Za-z](_?[A-Za-z0-9])*")
"""What Verilog, VHDL, SystemRDL, C and FuseSoC all take: VHDL has no underscore at either end, and no two together."""

_TYPES = """
clock int8 int16 int32 int64 intmax intptr off ptrdiff size ssize time uint8 uint16 uint32 uint64 uintmax uintptr wchar
"""
_C_TYPES = frozenset(_TYPES.split())
"""Names to which C's own libraries append `_t`, as the header of the registers does."""


def checked_name(name: str | None, core: Core) -> str:
    """The name itself, or the default name of the core without one.

    Raises :class:`LatteError` unless it names a module, and all that is made of it, in every language that it is for.
    """
    if name is None:
        return DEFAULT_NAMES[core]
    if not _IDENTIFIER.fullmatch(name):
        raise LatteError(
            "name of a core must be an identifier of letters, digits and single underscores that begins with a letter "
            f"and does not end in an underscore, not {name!r}"
        )
    if len(name) > MOST_LETTERS:
        raise LatteError(f"name of a core must have {MOST_LETTERS} characters at most, not {len(name)} as {name!r}")
    if (language := language_of(name)) is not None:
        raise LatteError(f"name of a core must not be a keyword of {language}, as {name!r} is")
    for ending, what in ((WRAPPER_ENDING, "wrapper"), (TESTBENCH_ENDING, "testbench"), (ENTRY_ENDING, "C function")):
        if name.endswith(ending):
            raise LatteError(f"name of a core must not end in {ending}, as the core's {what} does, but is {name!r}")
    if name in _C_TYPES:
        raise LatteError(f"name of a core must not be {name!r}, because C has a type {name}_t")
    if name == FAMILY:
        raise LatteError(
            f"name of a core must not be {name!r}: the registers of {DEFAULT_NAMES[Core.TOP]} are called so"
        )
    return name
