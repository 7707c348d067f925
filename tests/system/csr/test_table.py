"""The register map as data: the addresses that are a contract, what its parts refuse, and the driver's view of it."""

import pytest

from latte_hw.config import LatteConfig, Rule
from latte_hw.config.errors import LatteError
from latte_hw.config.presets import preset
from latte_hw.emit.registers.page import example_page
from latte_hw.system.csr.model import Access, Block, Field, Register, RegisterMap
from latte_hw.system.csr.table import register_map
from latte_hw.system.csr.view import RegisterView

CONFIG = LatteConfig()
MAP = register_map(CONFIG, cores=3, stream_bits=128, entries=64)
VIEW = RegisterView(MAP)

CONTRACT = """
000 id             010 capabilities_0   020 control        02c layer_lengths  038 irq_enable
004 version        014 capabilities_1   024 status         030 causal_offset  03c irq_status
008 config_hash_0  00c config_hash_1    028 layer_heads    034 errors         018 capabilities_2
100 cycles_busy_lo      108 stalled_input_lo    110 stalled_output_lo
104 cycles_busy_hi      10c stalled_input_hi    114 stalled_output_hi
118 queries_lo          120 keys_seen_lo        128 survivors_lo        130 kept_lo
11c queries_hi          124 keys_seen_hi        12c survivors_hi        134 kept_hi
200 core[0].queries_lo  21c core[0].kept_hi     240 core[2].queries_lo  248 core[2].keys_seen_lo
1000 head_table[0].threshold 1004 head_table[0].scale     11f8 head_table[63].threshold 11fc head_table[63].scale
"""

FIELDS = """
control: start 0, append 1, keep 2, soft_reset 3, snapshot 4
status: busy 0, idle 1, done 2
layer_heads: heads 15:0, group_size 31:16
layer_lengths: n_queries 15:0, n_keys 31:16
causal_offset: offset 15:0
errors: q_short 0, k_short 1, v_short 2, q_long 4, k_long 5, v_long 6, q_hole 8, k_hole 9, v_hole 10, \
length_zero 12, length_too_large 13, busy_write 14, q_range 16, k_range 17
capabilities_2: element_max 7:0, low_bits 11:8, exponent_fraction_bits 15:12, out_fraction_bits 19:16, static_rule 20
irq_enable: done 0, error 1
irq_status: done 0, error 1
head_table[5].scale: mantissa 15:0, shift 21:16
"""


def test_addresses_are_the_contract():
    words = CONTRACT.split()
    contract = dict(zip(words[1::2], words[::2], strict=True))
    assert {path: f"{VIEW.address(path):03x}" for path in contract} == contract
    outside_blocks = {placed.path for placed in MAP.placed() if not placed.block}
    assert outside_blocks == {path for path in contract if "[" not in path}


@pytest.mark.parametrize("line", FIELDS.strip().splitlines())
def test_fields_are_the_contract(line):
    path, fields = line.split(": ")
    assert ", ".join(f"{field.name} {field.bits}" for field in VIEW.placed(path).register.fields) == fields


@pytest.mark.parametrize("name", ["tiny", "long-4096"])
def test_constants_fit_for_every_size(name):
    config = preset(name).replace(rule=Rule.STATIC, queries_per_scan=16)
    for cores, stream_bits, entries in ((1, 32, 1), (8, 512, 256)):
        registers = register_map(config, cores=cores, stream_bits=stream_bits, entries=entries)
        found = RegisterView(registers).unpack("capabilities_1", registers.register("capabilities_1").reset)
        assert (found["cores"], found["stream_words"] * 32, found["table_entries"]) == (cores, stream_bits, entries)
        assert found["queries_per_scan"] == 16
        assert max(placed.address for placed in registers.placed()) < 1 << registers.address_bits


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cores": 9}, "cores must be from 1 to 8, not 9"),
        ({"cores": 0}, "cores must be from 1 to 8, not 0"),
        ({"entries": 257}, "entries must be from 1 to 256, not 257"),
        ({"stream_bits": 48}, "stream_bits must be 32, 64, 128, 256 or 512, not 48"),
    ],
)
def test_what_has_no_map_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        register_map(CONFIG, **({"cores": 1, "stream_bits": 32, "entries": 64} | changes))


def field(name: str = "a", lsb: int = 0, width: int = 8, reset: int = 0) -> Field:
    return Field(name, lsb, width, Access.LEVEL, "", reset)


def register(name: str = "r", offset: int = 0, *fields: Field) -> Register:
    return Register(name, offset, "", fields or (field(),))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: field("Start"), "lower-case identifiers, not 'Start'"),
        (lambda: field(lsb=25), "field a must lie in bits 0 to 31, not 32:25"),
        (lambda: field(reset=256), "reset value of field a must fit 8 bits, not be 0x100"),
        (lambda: register("r", 2), "offset of register r must be a multiple of 4, not 0x2"),
        (lambda: register("r", 0, field("a"), field("b", lsb=7)), "field b of register r overlaps another"),
        (lambda: register("r", 0, field("a"), field("a", lsb=8)), "register r has a twice"),
        (lambda: Block("b", 0, 2, 4, "", (register(offset=4),)), "block b must have at least one member, and its reg"),
        (lambda: RegisterMap("m", "", "", 8, (register("a", 4), register("b", 4)), ()), "each alone"),
        (lambda: RegisterMap("m", "", "", 8, (register("a", 256),), ()), "must end below 0x100, not at 0x100"),
        (lambda: RegisterMap("m", "", "", 8, (register("a", 0), register("a", 4)), ()), "m has a twice"),
    ],
)
def test_a_map_that_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("path", "values", "word"),
    [
        ("layer_lengths", {"n_queries": 0x1234, "n_keys": 0x5678}, 0x5678_1234),
        ("causal_offset", {"offset": -2}, 0xFFFE),
        ("causal_offset", {"offset": -(2**15)}, 0x8000),
        ("causal_offset", {"offset": 2**15 - 1}, 0x7FFF),
        ("head_table[1].scale", {"mantissa": 0xABCD, "shift": 0x3F}, 0x3F_ABCD),
        ("control", {"keep": 1}, 0b100),
    ],
)
def test_pack_and_unpack(path, values, word):
    assert VIEW.pack(path, values) == word
    unpacked = VIEW.unpack(path, word)
    assert {name: value for name, value in unpacked.items() if value} == values
    assert unpacked.keys() == {field.name for field in VIEW.placed(path).register.fields}


@pytest.mark.parametrize(
    ("path", "values", "message"),
    [
        ("layer_heads", {"heads": 65536}, "layer_heads.heads must be from 0 to 65535, not 65536"),
        ("causal_offset", {"offset": -32769}, "causal_offset.offset must be from -32768 to 32767, not -32769"),
        ("head_table[0].threshold", {"threshold": -1}, "threshold must be from 0 to 16383, not -1"),
        ("control", {"go": 1}, "control has no field 'go', only start, append, keep"),
        ("head_table[64].scale", {}, r"latte has no register 'head_table\[64\].scale'"),
    ],
)
def test_what_the_map_does_not_have_is_refused_in_words(path, values, message):
    with pytest.raises(LatteError, match=message):
        VIEW.pack(path, values)


def test_the_page_is_up_to_date(pytestconfig):
    committed = (pytestconfig.rootpath / "docs" / "registers.md").read_text()
    assert committed == example_page(), "run: python -m latte_hw.emit.registers.page docs/registers.md"
