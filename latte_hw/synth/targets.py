"""FPGA families that a core can be synthesised for, and what each of their cells occupies."""

import re
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, field

from latte_hw.config.errors import LatteError

LUT_NAMES = {f"LUT{inputs}": 1.0 for inputs in range(1, 7)}

WHOLE_MEMORY = "MEMORY"
"""Cell that a memory becomes for the target `generic`."""

XILINX_LUT_RAM = {
    "RAM32X1S": 1.0,
    "RAM64X1S": 1.0,
    "RAM128X1S": 2.0,
    "RAM256X1S": 4.0,
    "RAM512X1S": 8.0,
    "RAM32X1D": 2.0,
    "RAM64X1D": 2.0,
    "RAM128X1D": 4.0,
    "RAM256X1D": 8.0,
    "RAM32M": 4.0,
    "RAM64M": 4.0,
    "RAM32M16": 8.0,
    "RAM64M8": 8.0,
    "RAM64X8SW": 8.0,
}


@dataclass(frozen=True)
class Resources:
    """LUTs (with those that work as RAM or carry), flip-flops, DSP blocks and block RAMs; sums of what cells occupy."""

    lut: float = 0
    lut_ram: float = 0  # of `lut`, those used as memory or shift register
    ff: float = 0
    dsp: float = 0
    block_ram: float = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def times(self, count: int) -> "Resources":
        return Resources(*(count * value for value in astuple(self)))

    def as_dict(self) -> dict[str, float]:
        """Whole numbers as integers."""
        return {name: int(value) if value == int(value) else value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Target:
    """One family: the Yosys command, and the LUTs, flip-flops, DSP blocks and block RAMs that a cell counts as.

    ``luts`` holds plain LUTs and carry cells, ``lut_ram`` LUTs as memory; names match whole, and ``ff`` is a pattern.
    """

    name: str
    title: str
    command: str  # Yosys's synthesis command and the options that we always give
    luts: Mapping[str, float]
    ff: str
    block_ram: Mapping[str, float]
    block_ram_unit: str
    block_ram_mapped: str = ""  # what Yosys's log calls the block RAM that it maps a memory to
    flatten: str = ""  # its option for a flat netlist; empty when that is what it does anyway
    keep: str = ""  # its option to keep the hierarchy
    no_dsp: str = ""
    lut_ram: Mapping[str, float] = field(default_factory=dict)
    dsp: tuple[str, ...] = ()
    free: tuple[str, ...] = ()  # cells that take no place of their own: wide multiplexers, carry, buffers
    device: Mapping[str, str] = field(default_factory=dict)  # nextpnr's options; none: no place and route

    def occupied(self, cell: str) -> Resources | None:
        """What one cell counts as; None for an unknown one."""
        if cell in self.luts:
            return Resources(lut=self.luts[cell])
        if cell in self.lut_ram:
            return Resources(lut=self.lut_ram[cell], lut_ram=self.lut_ram[cell])
        if re.fullmatch(self.ff, cell):
            return Resources(ff=1)
        if cell in self.dsp:
            return Resources(dsp=1)
        if cell in self.block_ram:
            return Resources(block_ram=self.block_ram[cell])
        return Resources() if cell in self.free or cell.startswith("$scopeinfo") else None


def _xilinx(name: str, title: str, family: str, dsp: str, block_ram: dict[str, float]) -> Target:
    return Target(
        name=name,
        title=title,
        command=f"synth_xilinx -family {family} -abc9 -noiopad -noclkbuf",
        flatten="-flatten",
        no_dsp="-nodsp",
        luts={**LUT_NAMES, "INV": 1.0},
        lut_ram={**XILINX_LUT_RAM, "SRL16E": 1.0, "SRLC16E": 1.0, "SRLC32E": 1.0},
        ff=r"FD[RSCP]E(_1)?|LD[CP]E",
        dsp=(dsp,),
        block_ram=block_ram,
        block_ram_unit="RAMB36",
        block_ram_mapped=r"BLOCKRAM|URAM",
        free=("MUXF7", "MUXF8", "MUXF9", "CARRY4", "CARRY8"),
    )


TARGETS = {
    target.name: target
    for target in (
        Target(
            name="ecp5-85k",
            title="Lattice ECP5 LFE5U-85F",
            command="synth_ecp5",
            keep="-noflatten",
            no_dsp="-nodsp",
            luts={"LUT4": 1.0, "CCU2C": 2.0},
            lut_ram={"TRELLIS_DPR16X4": 4.0},
            ff="TRELLIS_FF",
            dsp=("MULT18X18D",),
            block_ram={"DP16KD": 1.0, "PDPW16KD": 1.0},
            block_ram_unit="DP16KD",
            block_ram_mapped="DP16KD|PDPW16KD",
            free=("PFUMX", "L6MUX21", "ALU54B"),
            device={"--85k": "", "--package": "CABGA756"},
        ),
        _xilinx(
            "xc7", "AMD 7 series", "xc7", "DSP48E1", {"RAMB18E1": 0.5, "RAMB36E1": 1.0},
        ),
        _xilinx(
            "xcup", "AMD UltraScale+", "xcup", "DSP48E2", {"RAMB18E2": 0.5, "RAMB36E2": 1.0},
        ),
        Target(
            name="ice40",
            title="Lattice iCE40 UltraPlus",
            command="synth_ice40 -device u",
            keep="-noflatten",
            luts={"SB_LUT4": 1.0},
            ff=r"SB_DFF\w*",
            dsp=("SB_MAC16",),
            block_ram={"SB_RAM40_4K": 1.0},
            block_ram_unit="SB_RAM40_4K",
            block_ram_mapped="ICE40_RAM4K|ICE40_SPRAM",
            free=("SB_CARRY",),
        ),
        Target(
            name="generic",
            title="6-input LUTs and flip-flops; memories are left whole",
            command="",
            luts={"$lut": 1.0},
            ff=r"\$_\w*(DFF|FF|LATCH)\w*_",
            block_ram={WHOLE_MEMORY: 1.0},
            block_ram_unit="memory",
        ),
    )
}  # fmt: skip


def target_called(name: str) -> Target:
    """The target of that name; :class:`LatteError` lists the known ones."""
    if name not in TARGETS:
        raise LatteError(f"target must be one of {', '.join(TARGETS)}, not {name!r}")
    return TARGETS[name]
