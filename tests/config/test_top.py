"""The configuration of a whole accelerator: what it adds to a head's, and what it refuses."""

import pytest
from pydantic import ValidationError

from latte_hw.config import LatteConfig
from latte_hw.config.top import STREAM_BITS, Reset, TopConfig
from latte_hw.params import HeadParams


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cores": 0}, "cores must be from 1 to 8, not 0"),
        ({"cores": 9}, "cores must be from 1 to 8, not 9"),
        ({"stream_bits": 48}, "stream_bits must be 32, 64, 128, 256 or 512, not 48"),
        ({"stream_bits": 1024}, "stream_bits must be 32, 64, 128, 256 or 512, not 1024"),
        ({"heads": 129}, "heads must be from 1 to 128, not 129"),
        ({"head_dim": 7}, "head_dim must be a multiple of 4 from 8 to 128, not 7"),
        ({"reset": "nrst"}, "Input should be 'rst' or 'aresetn'"),
        ({"lanes": 2}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_refused_and_in_which_words(changes, words):
    with pytest.raises(ValidationError, match=words):
        TopConfig(**changes)


@pytest.mark.parametrize(("heads", "entries"), [(1, 64), (9, 64), (64, 64), (65, 128), (128, 128)])
def test_a_bank_of_the_table_is_a_power_of_two_and_there_are_two(heads, entries):
    config = TopConfig(heads=heads)
    assert config.table_entries == entries
    assert config.head_config.heads == 2 * entries
    assert HeadParams(config.head_config).widths.head_bits == entries.bit_length()


def test_a_head_core_is_configured_as_the_whole_is():
    config = TopConfig(head_dim=32, keys_per_cycle=16, causal=True, cores=4)
    head = config.head_config
    assert type(head) is LatteConfig
    assert head == LatteConfig(head_dim=32, keys_per_cycle=16, causal=True, heads=128)


def test_a_changed_copy_is_checked_and_of_the_same_type():
    config = TopConfig(cores=2).replace(stream_bits=128)
    assert (type(config), config.cores, config.stream_bytes) == (TopConfig, 2, 16)
    with pytest.raises(ValidationError, match="cores must be"):
        config.replace(cores=99)


def test_every_field_is_in_the_hash():
    base = TopConfig()
    others = [base.replace(cores=2), base.replace(reset=Reset.ARESETN)]
    others += [base.replace(stream_bits=bits) for bits in STREAM_BITS if bits != base.stream_bits]
    assert len({config.sha256() for config in (base, *others)}) == 1 + len(others)
