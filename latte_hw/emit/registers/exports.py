"""C header, IP-XACT and HTML of a register map, by PeakRDL from its SystemRDL. Needs the extra `registers`."""

import importlib
import tempfile
import textwrap
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from latte_hw import __version__
from latte_hw.config.errors import LatteError
from latte_hw.emit.registers.rdl import system_rdl
from latte_hw.system.csr.model import RegisterMap


def rdl_name(stem: str) -> str:
    """File of a register map's SystemRDL, `stem` being the map's name."""
    return f"{stem}.rdl"


def header_name(stem: str) -> str:
    """File of its C header."""
    return f"{stem}_regs.h"


def ipxact_name(stem: str) -> str:
    """File of its IP-XACT."""
    return f"{stem}_regs.xml"


@contextmanager
def compiled(registers: RegisterMap) -> Iterator[Any]:
    """The map as `systemrdl-compiler` understands it: its top node. What the compiler warns of is an error.

    Fields in RAM have no reset value, and are the only ones that may lack it.
    """
    systemrdl, warnings = _required("systemrdl"), _required("systemrdl.warnings")
    compiler = systemrdl.RDLCompiler(error_flags=warnings.ALL & ~warnings.MISSING_RESET)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / rdl_name(registers.name)
        source.write_text(system_rdl(registers))
        compiler.compile_file(str(source))
        yield compiler.elaborate(registers.name).top


def register_files(registers: RegisterMap) -> dict[str, str]:
    """Text of each register file by its name: SystemRDL, C header and IP-XACT; the same for the same map.

    The header's include guard has the configuration in it: a program that includes two configurations under one name
    does not compile, rather than take the first for both. IP-XACT has the registers only;
    :func:`latte_hw.emit.packages.ipxact.component` adds what surrounds them.

    Raises :class:`LatteError` when the extra `registers` is not installed.
    """
    cheader, ipxact = _required("peakrdl_cheader.exporter"), _required("peakrdl_ipxact")
    with compiled(registers) as top, tempfile.TemporaryDirectory() as folder:
        stem = registers.name
        # PeakRDL makes the include guard of the name of the file.
        header, component = Path(folder) / f"{stem}_regs_{_digest(registers)}.h", Path(folder) / ipxact_name(stem)
        # Later standards bring a static_assert, which older compilers and C99 do not know.
        standard = _required("peakrdl_cheader.c_standards").CStandard.gnu99
        cheader.CHeaderExporter().export(top, str(header), std=standard)
        ipxact.IPXACTExporter(vendor="latte-hw", library="latte", version=__version__).export(top, str(component))
        return {
            rdl_name(stem): system_rdl(registers),
            header_name(stem): _with_notes(header.read_text(), registers),
            ipxact_name(stem): component.read_text(),
        }


def include_guard(file: str, registers: RegisterMap) -> str:
    """Of a C header that goes with that of the registers, with the configuration in it as there."""
    return f"{Path(file).stem}_{_digest(registers)}_h".upper()


def _digest(registers: RegisterMap) -> str:
    return f"{registers.register('config_hash_0').reset:08x}"


def table_notes(registers: RegisterMap) -> str:
    """How the words of the table are computed, as a C comment: PeakRDL leaves descriptions out of its header."""
    table = registers.block("head_table")
    notes = {f"{table.name}[head]": table.description}
    notes |= {f"{table.name}[head].{register.name}": register.description for register in table.registers}
    lines = [textwrap.wrap(f"{name}: {text}", 117, break_long_words=False) for name, text in notes.items()]
    return "\n//\n".join("\n".join(f"// {line}" for line in note) for note in lines)


def _with_notes(header: str, registers: RegisterMap) -> str:
    """The header with the notes before its guard."""
    before, guard, after = header.partition("#ifndef ")
    return f"{before}{table_notes(registers)}\n\n{guard}{after}"


def write_html(registers: RegisterMap, folder: Path) -> None:
    """Browsable pages in `folder`, which is made: open its `index.html` over HTTP. The same for the same map.

    Raises :class:`LatteError` when the extra `registers` is not installed.
    """
    html = _required("peakrdl_html")
    # Tells builds apart in browsers' caches; the default, the time, would make every build another.
    build = {"build_ts": zlib.crc32(system_rdl(registers).encode())}
    with compiled(registers) as top:
        exporter = html.HTMLExporter(generate_source_links=False, user_context=build)
        exporter.export(top, str(folder), title=registers.title)


def _required(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.split(".")[0]
        raise LatteError(
            f"register files need the package {package}, which is not installed: pip install 'latte-hw[registers]'"
        ) from None
