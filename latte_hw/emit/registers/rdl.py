"""The register map as SystemRDL 2.0, from which other formats are made. Needs the standard library only."""

from collections.abc import Iterator

from latte_hw.system.csr.model import Access, Block, Field, Register, RegisterMap

PROPERTIES = {
    Access.CONSTANT: "sw = r; hw = na;",
    Access.STATUS: "sw = r; hw = w;",
    Access.CONFIG: "sw = rw; hw = r;",
    Access.LEVEL: "sw = rw; hw = r;",
    Access.COMMAND: "sw = w; hw = r; singlepulse;",
    Access.PULSE: "sw = w; hw = r; singlepulse;",
    Access.STICKY: "sw = rw; onwrite = woclr; hw = w; hwset; precedence = hw;",
    Access.RAM: "sw = rw; hw = r;",
}
"""What each kind of field is in SystemRDL."""

INDENT = "    "


def system_rdl(registers: RegisterMap) -> str:
    """The text of one `addrmap`; the same for the same map, byte for byte."""
    body = [
        f"name = {_quoted(registers.title)};",
        f"desc = {_quoted(registers.description)};",
        "default regwidth = 32;",
        "default accesswidth = 32;",
        "littleendian;",
        "lsb0;",
    ]
    for register in registers.registers:
        body += ["", *_register(register)]
    for block in registers.blocks:
        body += ["", *_block(block)]
    return "\n".join([f"addrmap {registers.name} {{", *_indented(body), "};"]) + "\n"


def _register(register: Register) -> Iterator[str]:
    yield "reg {"
    yield f"{INDENT}desc = {_quoted(register.description)};"
    for field in register.fields:
        yield from _indented(_field(field))
    yield f"}} {register.name} @ {register.offset:#x};"


def _field(field: Field) -> Iterator[str]:
    reset = "" if field.access is Access.RAM else f" = {field.width}'h{field.reset:x}"
    yield "field {"
    yield f"{INDENT}desc = {_quoted(field.description)};"
    yield f"{INDENT}{PROPERTIES[field.access]}"
    yield f"}} {field.name}[{field.lsb + field.width - 1}:{field.lsb}]{reset};"


def _block(block: Block) -> Iterator[str]:
    yield "regfile {"
    yield f"{INDENT}desc = {_quoted(block.description)};"
    for register in block.registers:
        yield from _indented(_register(register))
    yield f"}} {block.name}[{block.count}] @ {block.offset:#x} += {block.stride:#x};"


def _indented(lines: list[str] | Iterator[str]) -> list[str]:
    return [f"{INDENT}{line}" if line else line for line in lines]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
