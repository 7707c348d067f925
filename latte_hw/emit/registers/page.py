"""The register map as a page, `docs/registers.md`; `python -m latte_hw.emit.registers.page docs/registers.md` writes
it again."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from latte_hw.config.presets import preset
from latte_hw.host import terminal
from latte_hw.system.csr.model import Access, Block, Register, RegisterMap
from latte_hw.system.csr.table import register_map

EXAMPLE = "smollm2-135m"

ACCESS_WORDS = {
    Access.CONSTANT: ("constant", "read; never changes"),
    Access.STATUS: ("status", "read; hardware sets it"),
    Access.CONFIG: ("config", "read and write; a write while the core is busy is refused and sets `errors.busy_write`"),
    Access.LEVEL: ("level", "read and write at any time"),
    Access.COMMAND: ("command", "write 1 to act once; reads 0; refused while busy, as above"),
    Access.PULSE: ("pulse", "write 1 to act once, at any time; reads 0"),
    Access.STICKY: ("sticky", "read; hardware sets it, writing 1 clears it; an event in the same cycle is not lost"),
    Access.RAM: ("RAM", "read and write at any time; no reset clears it"),
}

SOURCE = """`latte_hw/system/csr/table.py` is the source of this page, of the gateware, of the driver's constants,
and of SystemRDL, C header, IP-XACT and HTML."""

USE = """\
## Use

* **Run a layer.** Write `head_table` (threshold and scale of every query head), `layer_heads`, `layer_lengths` and, for
  a causal core, `causal_offset`; write `control.start`; move K, V, Q in and the outputs out; wait for `status.done` or
  `irq`; look at `errors`. A START that cannot be run is refused: it sets `length_zero` or `length_too_large`, and
  `done` stays 0.
* **Change thresholds.** `head_table` may be written at any time, one word or all of them. A layer uses what was there
  when its START was written; what is written after it is for the next layer. A START waits (`status.busy`) until the
  cores' idle bank holds all of it, 2 cycles an entry behind the last START.
* **Decode.** START with `control.keep` leaves K and V in the cores. Each `control.append` (with `keep` for as long as
  more follow) takes one row more of K and of V per K/V head and one query per query head, with the thresholds of the
  START.
* **Read counters.** Write `control.snapshot`, then read. All counters are of the same clock cycle, so that sums,
  quotients and the two halves of a count belong together. They run from reset and wrap: take differences.
* **Recover.** `control.soft_reset` in any state returns registers, counters and cores to the state after reset.
  `head_table` stays. Other bits of the same write have no effect. Restart the DMA, too: what is left of a packet would
  count as a new one.
* **Responses.** A refused write answers OKAY and sets `errors.busy_write`: SLVERR on a posted write would kill the
  program on many processors. SLVERR is for what no correct driver does: no such register, not writable, unaligned, or
  strobes missing.
"""


def page(registers: RegisterMap, example: str) -> str:
    """Markdown of the whole map. `example` says which core the configuration's constants are of."""
    lines = [
        "# Registers",
        "",
        "<!-- Written by `python -m latte_hw.emit.registers.page docs/registers.md`; do not edit. -->",
        "",
        f"{registers.description}",
        "",
        f"Widths and constants that depend on the configuration are those of {example}. {SOURCE}",
        "",
        USE,
        "## Kinds of fields",
        "",
        *_table(("kind", "meaning"), ACCESS_WORDS.values()),
        "",
        "## Map",
        "",
        *_table(("address", "register", "what"), _overview(registers)),
    ]
    for register in registers.registers:
        if not register.name.endswith(("_lo", "_hi")):  # a counter's one field is the word
            lines += ["", *_register(register, f"{register.offset:#05x}", register.name)]
    for block in registers.blocks:
        lines += ["", *_block(block)]
    return "\n".join(lines) + "\n"


def _overview(registers: RegisterMap) -> Iterator[tuple[str, str, str]]:
    for register in registers.registers:
        yield f"`{register.offset:#05x}`", f"`{register.name}`", register.description
    for block in registers.blocks:
        yield (
            f"`{block.offset:#05x}` + {block.stride:#x}·i",
            f"`{block.name}[i]`, i = 0 to {block.count - 1}",
            block.description,
        )


def _register(register: Register, address: str, path: str) -> Iterator[str]:
    yield f"### `{path}` at `{address}`"
    yield ""
    yield register.description
    yield ""
    rows = (
        (
            field.bits,
            f"`{field.name}`",
            ACCESS_WORDS[field.access][0],
            "" if field.access is Access.RAM else f"`{field.reset:#x}`",
            field.description,
        )
        for field in register.fields
    )
    yield from _table(("bits", "field", "kind", "reset", "what"), rows)


def _block(block: Block) -> Iterator[str]:
    yield f"## `{block.name}[i]`"
    yield ""
    yield f"{block.description} {block.count} of them, {block.stride:#x} bytes apart, from `{block.offset:#05x}`."
    for register in block.registers:
        yield ""
        yield from _register(register, f"{block.offset + register.offset:#05x} + {block.stride:#x}·i", register.name)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def example_page() -> str:
    """The text of `docs/registers.md`."""
    registers = register_map(preset(EXAMPLE), cores=2, stream_bits=128, entries=64)
    return page(registers, f"`{EXAMPLE}` with 2 cores, streams of 128 bits and 64 table entries")


if __name__ == "__main__":
    terminal.run(lambda: Path(sys.argv[1]).write_text(example_page()) and 0, "latte_hw.emit.registers.page")
