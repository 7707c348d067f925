"""What is wrong with a design, from Yosys's output: loops, latches, drivers, memories that got no block RAM."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from latte_hw.synth.targets import Target

BLOCK_RAM_WORDS = 128
BLOCK_RAM_BITS = 4096
"""A memory of at least so many words and bits is expected in block RAM."""

FLIP_FLOP_BITS = 128
"""A memory above this many bits is expected in some RAM, not in flip-flops."""


@dataclass(frozen=True)
class Problem:
    """One finding; a ``wrong`` one makes the design unusable, the others only cost area."""

    kind: str
    where: str
    message: str
    wrong: bool


@dataclass(frozen=True)
class MemoryShape:
    words: int
    width: int

    @property
    def bits(self) -> int:
        return self.words * self.width


def structural(check_text: str, latch_text: str) -> list[Problem]:
    """Problems in the output of Yosys's `check` on a flat design, and in its list of latches."""
    problems = []
    for warning in re.findall(r"^Warning: (.*(?:\n    .*)*)", check_text, re.MULTILINE):
        lines = [line.strip() for line in warning.splitlines()]
        loop = re.match(r"found logic loop in module (\S+?):?$", lines[0])
        if loop:
            through = [m.group(1) for m in (re.match(r"wire (\S+)", line) for line in lines[1:]) if m]
            problems.append(Problem("loop", " -> ".join(through) or loop[1], "combinational loop", True))
        else:
            kind = "drivers" if "conflicting drivers" in lines[0] else "undriven"
            problems.append(Problem(kind, _wire(lines[0]), lines[0], True))
    for line in latch_text.splitlines():
        if line.strip():
            problems.append(Problem("latch", line.strip(), "latch instead of a register", True))
    return problems


def _wire(sentence: str) -> str:
    found = re.search(r"(?:wire|Wire|for) (\S+)", sentence)
    return found.group(1).rstrip(":.") if found else ""


def memories_of(dump: str) -> dict[str, MemoryShape]:
    """Memories of a design, by module and name joined with a dot, from Yosys's `dump m:*`."""
    memories, module = {}, ""
    for line in dump.splitlines():
        words = line.split()
        if words[:1] == ["module"]:
            module = words[1].removeprefix("\\")
        elif words[:1] == ["memory"]:
            fields = dict(zip(words[1:-1:2], words[2:-1:2], strict=True))
            name = f"{module}.{words[-1].removeprefix(chr(92))}"
            memories[name] = MemoryShape(int(fields.get("size", 1)), int(fields.get("width", 1)))
    return memories


def places_of(log: str) -> dict[str, str]:
    """Where Yosys put each memory: the name of the RAM, or "flip-flops"."""
    places = {}
    for line in log.splitlines():
        ram = re.match(r"mapping memory (\S+) via (\S+)", line)
        if ram:
            places[ram[1]] = ram[2].removeprefix("$__").rstrip("_")
        logic = re.match(r"using FF mapping for memory (\S+)", line)
        if logic:
            places[logic[1]] = "flip-flops"
    return places


def misplaced(memories: Mapping[str, MemoryShape], places: Mapping[str, str], target: Target) -> list[Problem]:
    """Memories that should have been block RAM, or at least RAM, and are not."""
    problems = []
    for name, shape in memories.items():
        place = places.get(name)
        if place is None or re.search(target.block_ram_mapped, place):
            continue
        size = f"{shape.words} words of {shape.width} bits"
        if shape.words >= BLOCK_RAM_WORDS and shape.bits >= BLOCK_RAM_BITS:
            problems.append(Problem("memory", name, f"{size} became {place}, not block RAM", False))
        elif place == "flip-flops" and shape.bits > FLIP_FLOP_BITS:
            problems.append(Problem("memory", name, f"{size} became flip-flops, not RAM", False))
    return problems
