"""What a register map is made of: fields in registers, registers at addresses, blocks of registers repeated.

Plain data, checked on construction; knows nothing of LATTE. Needs the standard library only.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

WORD_BITS = 32
WORD_BYTES = WORD_BITS // 8


class Access(StrEnum):
    """What software may do with a field, and what hardware does in answer."""

    CONSTANT = "constant"  # read; never changes
    STATUS = "status"  # read; hardware sets it
    CONFIG = "config"  # read and write; a write while the core is busy is refused and noted
    LEVEL = "level"  # read and write at any time
    COMMAND = "command"  # write 1 to act once; reads 0; refused and noted while the core is busy
    PULSE = "pulse"  # write 1 to act once, at any time; reads 0
    STICKY = "sticky"  # read; hardware sets it, writing 1 clears it
    RAM = "ram"  # read and write at any time; lies in RAM, which no reset clears

    @property
    def readable(self) -> bool:
        return self not in (Access.COMMAND, Access.PULSE)

    @property
    def writable(self) -> bool:
        return self not in (Access.CONSTANT, Access.STATUS)


@dataclass(frozen=True)
class Field:
    """Bits `lsb` to `lsb + width − 1` of a register; `signed` ones are two's complement."""

    name: str
    lsb: int
    width: int
    access: Access
    description: str
    reset: int = 0
    signed: bool = False

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.width < 1 or self.lsb < 0 or self.lsb + self.width > WORD_BITS:
            raise ValueError(f"field {self.name} must lie in bits 0 to {WORD_BITS - 1}, not {self.bits}")
        if not 0 <= self.reset <= self.mask:
            raise ValueError(f"reset value of field {self.name} must fit {self.width} bits, not be {self.reset:#x}")

    @property
    def bits(self) -> str:
        """Position in the word, as `7:0` or `3`."""
        msb = self.lsb + self.width - 1
        return str(self.lsb) if self.width == 1 else f"{msb}:{self.lsb}"

    @property
    def mask(self) -> int:
        """Ones for the field's bits, before they are shifted to their position."""
        return (1 << self.width) - 1

    @property
    def range(self) -> tuple[int, int]:
        """Least and greatest value."""
        if self.signed:
            return -(1 << (self.width - 1)), (1 << (self.width - 1)) - 1
        return 0, self.mask


@dataclass(frozen=True)
class Register:
    """One word. `offset` counts bytes from the map's start, or from the start of the block that the register is in."""

    name: str
    offset: int
    description: str
    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.offset < 0 or self.offset % WORD_BYTES:
            raise ValueError(f"offset of register {self.name} must be a multiple of 4, not {self.offset:#x}")
        taken = 0
        for field in self.fields:
            if taken & (field.mask << field.lsb):
                raise ValueError(f"field {field.name} of register {self.name} overlaps another")
            taken |= field.mask << field.lsb
        _check_unique([field.name for field in self.fields], f"register {self.name}")

    @property
    def reset(self) -> int:
        """The word after reset."""
        return sum(field.reset << field.lsb for field in self.fields)

    @property
    def readable(self) -> bool:
        return any(field.access.readable for field in self.fields)

    @property
    def writable(self) -> bool:
        return any(field.access.writable for field in self.fields)

    def field(self, name: str) -> Field:
        """The field of that name; KeyError when there is none."""
        return {field.name: field for field in self.fields}[name]


@dataclass(frozen=True)
class Block:
    """`count` equal groups of registers, `stride` bytes apart."""

    name: str
    offset: int
    count: int
    stride: int
    description: str
    registers: tuple[Register, ...]

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_unique([register.name for register in self.registers], f"block {self.name}")
        if self.offset % WORD_BYTES or self.stride % WORD_BYTES:
            raise ValueError(f"offset and stride of block {self.name} must be multiples of 4")
        if self.count < 1 or max(register.offset for register in self.registers) >= self.stride:
            raise ValueError(f"block {self.name} must have at least one member, and its registers within its stride")


@dataclass(frozen=True)
class Placed:
    """A register at its address. `path` is `name`, or `block[number].name`, as SystemRDL writes it."""

    path: str
    address: int
    register: Register
    block: str = ""
    number: int = 0


@dataclass(frozen=True)
class RegisterMap:
    """All registers of a core in the order of their addresses, which have `address_bits` bits."""

    name: str
    title: str
    description: str
    address_bits: int
    registers: tuple[Register, ...]
    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        addresses = [placed.address for placed in self.placed()]
        if addresses != sorted(set(addresses)):
            raise ValueError(f"registers of {self.name} must lie in the order of their addresses, each alone")
        if addresses[-1] >> self.address_bits:
            raise ValueError(f"register map must end below {1 << self.address_bits:#x}, not at {addresses[-1]:#x}")
        names = [register.name for register in self.registers] + [block.name for block in self.blocks]
        _check_unique(names, self.name)

    def placed(self) -> Iterator[Placed]:
        """Every register, members of blocks one by one."""
        for register in self.registers:
            yield Placed(register.name, register.offset, register)
        for block in self.blocks:
            for number in range(block.count):
                for register in block.registers:
                    address = block.offset + number * block.stride + register.offset
                    yield Placed(f"{block.name}[{number}].{register.name}", address, register, block.name, number)

    def register(self, name: str) -> Register:
        """The register of that name outside blocks; KeyError when there is none."""
        return {register.name: register for register in self.registers}[name]

    def block(self, name: str) -> Block:
        """The block of that name; KeyError when there is none."""
        return {block.name: block for block in self.blocks}[name]


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"names of registers and fields are lower-case identifiers, not {name!r}")


def _check_unique(names: list[str], where: str) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"{where} has {', '.join(sorted(twice))} twice")
