"""What a core may be called, and that everything of it is called so."""

import importlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from latte_hw.config import Core
from latte_hw.config.errors import LatteError
from latte_hw.config.presets import preset
from latte_hw.config.top import TopConfig
from latte_hw.emit import head as emit
from latte_hw.emit.keywords import SYSTEM_RDL, VERILOG, VHDL, language_of
from latte_hw.emit.names import DEFAULT_NAMES, MOST_LETTERS, checked_name
from latte_hw.system.csr.table import top_registers

GOOD = ("a", "left", "Left2", "attention_1_of_2", "x" * MOST_LETTERS, "tables", "Module", "latte_top", "latte2")
BAD = {
    "": "must be an identifier of letters, digits and single underscores", "2fast": "not '2fast'", "a-b": "not 'a-b'",
    "a b": "not 'a b'", "a.b": "not 'a.b'", "a$b": "identifier", "é": "identifier", "_a": "begins with a letter",
    "a_": "does not end in an underscore", "a__b": "single underscores", "a\n": "identifier",
    "x" * (MOST_LETTERS + 1): "must have 64 characters at most, not 65", "logic": "SystemVerilog",
    "table": "must not be a keyword of Verilog or SystemVerilog, as 'table' is", "unsigned": "SystemVerilog",
    "regfile": "must not be a keyword of SystemRDL", "entity": "must not be a keyword of VHDL", "Entity": "VHDL",
    "core_ip": "must not end in _ip, as the core's wrapper does", "core_tb": "testbench", "core_entry": "C function",
    "uint32": "uint32_t",
    "size": "because C has a type size_t", "latte": "the registers of latte_top are called so",
}  # fmt: skip

CPP = """
catch char delete double explicit export float friend goto inline long mutable namespace operator private public short
sizeof switch template throw try typename volatile
"""
"""Keywords of C++ that the other languages do not have."""


@pytest.mark.parametrize("name", GOOD)
def test_a_name_that_is_taken(name: str) -> None:
    assert checked_name(name, Core.TOP) == name


@pytest.mark.parametrize("name", BAD)
def test_a_name_that_is_refused_with_a_sentence(name: str) -> None:
    with pytest.raises(LatteError, match=r"^name of a core must ") as refused:
        checked_name(name, Core.TOP)
    assert BAD[name] in str(refused.value)
    assert "\n" not in str(refused.value)


def test_without_a_name_every_core_has_its_own() -> None:
    assert {core: checked_name(None, core) for core in Core} == DEFAULT_NAMES
    assert len(set(DEFAULT_NAMES.values())) == len(Core)


# --- keywords ---------------------------------------------------------------------------------------------------------


def test_keywords_of_systemverilog_are_those_that_slang_knows() -> None:
    parsing = pytest.importorskip("pyslang").parsing
    kinds = {str(kind).removesuffix("Keyword").lower() for kind in dir(parsing.TokenKind) if kind.endswith("Keyword")}
    assert {word.replace("_", "") for word in VERILOG} == kinds


def test_keywords_of_systemrdl_are_those_that_its_compiler_knows() -> None:
    lexer = importlib.import_module("systemrdl.parser.SystemRDLLexer").SystemRDLLexer
    assert {word for word in (name.strip("'") for name in lexer.literalNames) if word.isidentifier()} == SYSTEM_RDL


def test_capitals_matter_in_verilog_and_not_in_vhdl() -> None:
    assert language_of("Table") is None
    assert language_of("Library") == "VHDL"
    assert all(word == word.lower() for word in VHDL)


def test_no_register_and_no_field_has_a_keyword_for_a_name() -> None:
    """Of the languages that PeakRDL's exporters write, C++ among them."""
    registers = top_registers(TopConfig(head_dim=8, max_keys=16))
    cpp = CPP.split()
    names = {registers.name, *(block.name for block in registers.blocks)}
    for placed in registers.placed():
        names |= {placed.register.name, *(field.name for field in placed.register.fields)}
    assert {name: language_of(name) for name in names if language_of(name) or name in cpp} == {}


# --- a head core ------------------------------------------------------------------------------------------------------


def test_every_module_of_a_head_begins_with_its_name(tmp_path: Path) -> None:
    emitted = emit.generate(preset("tiny"), tmp_path, name="decoder_head")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["decoder_head.json", "decoder_head.v"]
    text = emitted.verilog.read_text()
    modules = re.findall(r"^module \\?(\S+?)(?: ?\(|$)", text, re.M)
    assert len(modules) > 20
    assert all(name == "decoder_head" or name.startswith("decoder_head.") for name in modules)
    assert "latte_head" not in text
    assert json.loads(emitted.description.read_text())["top"] == "decoder_head"
    default = emit.to_verilog(emit.build_head(preset("tiny")))
    assert text.replace("decoder_head", "latte_head").splitlines()[:2] == default.splitlines()[:2]


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="needs Icarus")
def test_two_heads_lie_in_one_design(tmp_path: Path) -> None:
    small = preset("tiny").replace(max_keys=8)
    texts = [emit.to_verilog(emit.build_head(config), name) for config, name in ((preset("tiny"), "a"), (small, "b"))]
    for second in (1, 0):  # the same twice is what a design without names has
        (tmp_path / "both.v").write_text("\n".join([texts[0], texts[second]]))
        done = subprocess.run(["iverilog", "-t", "null", "both.v"], cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode == 0) == bool(second), done.stderr
    assert "already declared" in done.stderr or "duplicate" in done.stderr.lower() or "redefin" in done.stderr.lower()


def test_nothing_is_written_under_a_bad_name(tmp_path: Path) -> None:
    with pytest.raises(LatteError, match="'table'"):
        emit.generate(preset("tiny"), tmp_path / "out", name="table")
    assert not (tmp_path / "out").exists()
