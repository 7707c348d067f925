"""Conversion to Verilog: what memories hold at first, however it is written."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, ClassVar

import pytest
from amaranth.hdl import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.config.errors import LatteError
from latte_hw.emit import text as emitted

MEMORIES = {  # name: width and contents
    "bits": (1, [0] * 4),
    "words": (32, [0] * 5),
    "wide": (70, [0] * 3),
    "single": (4, [0]),
    "first_is_zero": (8, [0, 1, 2]),
    "last_is_not": (8, [0, 0, 3]),
}


class Memories(wiring.Component):
    """Every memory, with a write port and a read port."""

    def __init__(self) -> None:
        reads = {f"o_{name}": Out(width) for name, (width, _) in MEMORIES.items()}
        super().__init__({"i": In(70), "i_address": In(3), **reads})

    def elaborate(self, platform: Any) -> Module:  # noqa: ARG002
        m = Module()
        for name, (width, init) in MEMORIES.items():
            m.submodules[name] = ram = memory.Memory(shape=width, depth=len(init), init=init)
            write_port = ram.write_port()
            read_port = ram.read_port()
            m.d.comb += [
                write_port.addr.eq(self.i_address),
                write_port.data.eq(self.i),
                write_port.en.eq(1),
                read_port.addr.eq(self.i_address),
                getattr(self, f"o_{name}").eq(read_port.data),
            ]
        return m


def converted() -> str:
    component = Memories()
    ports = [value for _, _, value in component.signature.flatten(component)]
    return emitted.verilog_text(component, "memories", ports)


def test_every_word_of_every_memory_has_its_first_contents() -> None:
    text = converted()
    loops = {
        name.strip(): (int(width), [0] * int(depth))
        for depth, name, width in re.findall(r"word < (\d+);.*\n\s+(\S+ ?)\[word\] = (\d+)'h0;", text)
    }
    lines: dict[str, tuple[int, list[int]]] = {}
    for name, word, width, value in re.findall(r"^    (\w+)\[(\d+)\] = (\d+)'h([0-9a-f]+);", text, re.MULTILINE):
        contents = lines.setdefault(name, (int(width), []))[1]
        assert int(word) == len(contents)
        contents.append(int(value, 16))
    assert {**loops, **lines} == MEMORIES
    assert set(lines) == {"first_is_zero", "last_is_not"}
    assert len(re.findall(r"initial begin : (zero_memory_\d+)", text)) == len(loops)


class Empty(wiring.Component):
    """What operators make of no bits."""

    EXPECTED: ClassVar = {"all": 1, "any": 0, "xor": 0, "bool": 0, "equal": 1, "less": 0}

    def __init__(self) -> None:
        super().__init__({"i": In(4)} | {f"o_{name}": Out(1) for name in self.EXPECTED})

    def elaborate(self, platform: Any) -> Module:  # noqa: ARG002
        m = Module()
        nothing = self.i[:0]
        results = {
            "all": nothing.all(), "any": nothing.any(), "xor": nothing.xor(), "bool": nothing.bool(),
            "equal": nothing == self.i[4:], "less": nothing < self.i[4:],
        }  # fmt: skip
        m.d.comb += [getattr(self, f"o_{name}").eq(value ^ self.i[0]) for name, value in results.items()]
        return m


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus is not installed")
def test_operators_of_no_bits(tmp_path: Path) -> None:
    """Yosys writes an operand without a bit as a 0, which `all()` must not see."""
    component = Empty()
    (tmp_path / "empty.v").write_text(
        emitted.verilog_text(component, "empty", [value for _, _, value in component.signature.flatten(component)])
    )
    outputs = [f"o_{name}" for name in Empty.EXPECTED]
    (tmp_path / "bench.v").write_text(
        f"module bench; wire {', '.join(outputs)}; empty dut(.i(4'd0), {', '.join(f'.{o}({o})' for o in outputs)});\n"
        f'initial #1 $display("{"%b" * len(outputs)}", {", ".join(outputs)}); endmodule\n'
    )
    subprocess.run(["iverilog", "-g2012", "-o", "bench", "bench.v", "empty.v"], cwd=tmp_path, check=True)
    said = subprocess.run(["vvp", "-n", "bench"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert said.strip() == "".join(map(str, Empty.EXPECTED.values()))


def test_a_yosys_that_writes_memories_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else all words of a memory but the first would be unknown, and nothing would show it."""
    convert = emitted._converted
    monkeypatch.setattr(emitted, "_converted", lambda text: convert(text).replace("wide[0]", "wide[00]"))
    with pytest.raises(LatteError, match="every memory of zeros with its first word, 4 of them, not 3"):
        converted()
