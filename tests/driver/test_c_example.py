"""The C example: compiles without a warning, writes what the driver's own register view says it must, and runs a layer
on the simulated core, whose end it polls or is interrupted by."""

import mmap
import shutil
import subprocess
from pathlib import Path

import pytest

from latte_hw.config.top import TopConfig
from latte_hw.emit.registers.exports import register_files
from latte_hw.system.csr.table import top_registers
from latte_hw.system.csr.view import RegisterView
from sim.top import runner as top_runner
from sim.top.interrupts import MOST_READS

EXAMPLE = Path(__file__).parents[2] / "examples" / "latte.c"
CONFIG = TopConfig(head_dim=8, max_keys=64, keys_per_cycle=2, causal=True, cores=3)

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@pytest.fixture(params=["c99", "c11"])
def program(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    for name, text in register_files(top_registers(CONFIG)).items():
        (tmp_path / name).write_text(text)
    command = ["gcc", f"-std={request.param}", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{tmp_path}", str(EXAMPLE)]
    subprocess.run([*command, "-o", str(tmp_path / "latte")], check=True, capture_output=True)
    return tmp_path / "latte"


def registers_after(program: Path, config: TopConfig) -> tuple[int, str, dict[str, int]]:
    """Exit code and words of a file that stands for the registers of `config`, after the program has run on it."""
    view, file = RegisterView(top_registers(config)), program.parent / "registers"
    offset = mmap.PAGESIZE
    words = {placed.address: placed.register.reset for placed in view.map.placed()}
    content = bytearray(offset + 0x2000)
    for address, word in words.items():
        content[offset + address : offset + address + 4] = word.to_bytes(4, "little")
    file.write_bytes(content)
    command = [program, file, hex(offset), "9", "3", "7", "40"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=20)
    content = bytearray(file.read_bytes())[offset:]
    paths = {placed.path: placed.address for placed in view.map.placed()}
    after = {path: int.from_bytes(content[address : address + 4], "little") for path, address in paths.items()}
    return done.returncode, done.stderr, {path: word for path, word in after.items() if word != words[paths[path]]}


def test_it_writes_the_registers_of_a_layer(program: Path) -> None:
    code, errors, written = registers_after(program, CONFIG)
    assert (code, errors) == (0, "")
    view = RegisterView(top_registers(CONFIG))
    expected = {
        "layer_heads": view.pack("layer_heads", {"heads": 9, "group_size": 3}),
        "layer_lengths": view.pack("layer_lengths", {"n_queries": 7, "n_keys": 40}),
        "causal_offset": view.pack("causal_offset", {"offset": 33}),
        "control": view.pack("control", {"start": 1}),
    }
    for head in range(9):
        expected[f"head_table[{head}].threshold"] = view.pack("head_table[0].threshold", {"threshold": 40})
        expected[f"head_table[{head}].scale"] = view.pack("head_table[0].scale", {"mantissa": 40000, "shift": 17})
    assert written == expected


def test_it_refuses_a_core_of_another_configuration(program: Path) -> None:
    code, errors, written = registers_after(program, CONFIG.replace(max_keys=32))
    assert (code, written) == (2, {})
    assert errors == "the core is not the one that latte_regs.h was made for\n"


SIMULATED = TopConfig(head_dim=8, max_keys=16, keys_per_cycle=2, causal=True, cores=2)
"""As in tests/sim/rtl/test_top_faults.py, which shares the build."""


@pytest.mark.parametrize("by_irq", [True, False], ids=["by irq", "polling"])
def test_it_runs_a_layer_on_the_simulated_core(by_irq: bool, tmp_path: Path) -> None:
    """Exit code 1: refused, by a bit of `errors`; 3: the packets do not move."""
    for name, text in register_files(top_registers(SIMULATED)).items():
        (tmp_path / name).write_text(text)
    folders = [f"-I{tmp_path}", f"-I{EXAMPLE.parent}"]
    library = tmp_path / "latte.so"
    source = Path(__file__).with_name("simulated.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", *folders, str(source), "-o", str(library)], check=True)
    found = top_runner.run(SIMULATED, "sim.top.interrupts:in_c", library=str(library), by_irq=by_irq)["result"]
    assert found["codes"] == {"good": 0, "refused": 1, "stalled": 3}
    assert (found["enabled"] > 0) is by_irq
    if by_irq:
        assert found["reads"] <= MOST_READS
    else:
        assert found["reads"] > MOST_READS
