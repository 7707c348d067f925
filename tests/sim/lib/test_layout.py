"""Payload bits: where fields lie, what fits, and back again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.lib.layout import Description, Field, Port, to_integers, to_raw

JOB = Port(
    "i_job",
    "stream",
    "in",
    14,
    (Field("head", 0, 3, False, 1), Field("offset", 3, 5, True, 1), Field("lanes", 8, 2, True, 3)),
)


def test_a_field_lies_at_its_offset_and_element_0_is_lowest():
    packed = JOB.pack({"head": [5], "offset": [-1], "lanes": [[1, -2, 0]]})
    assert packed == [0b00_10_01_11111_101]


def test_a_bare_array_is_the_only_field():
    row = Port("i_q", "stream", "in", 32, (Field("", 0, 8, True, 4),))
    assert row.pack(np.array([[1, -1, -128, 127]])) == [0x7F80FF01]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(-16, 15), st.tuples(*[st.integers(-2, 1)] * 3)), min_size=1))
def test_unpack_is_the_inverse_of_pack(beats: list[tuple[int, int, tuple[int, int, int]]]):
    head, offset, lanes = (np.array(column) for column in zip(*beats, strict=True))
    fields = JOB.unpack(to_raw(JOB.pack({"head": head, "offset": offset, "lanes": lanes}), JOB.bytes))
    assert (fields["head"] == head).all()
    assert (fields["offset"] == offset).all()
    assert (fields["lanes"] == lanes).all()


@given(st.lists(st.integers(0, 2**70 - 1), min_size=1))
def test_integers_and_bytes(payloads: list[int]):
    assert to_integers(to_raw(payloads, 9)) == payloads


def test_no_beats():
    fields = JOB.unpack(to_raw([], JOB.bytes))
    assert fields["head"].shape == (0,)
    assert fields["lanes"].shape == (0, 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"head": [8], "offset": [0], "lanes": [[0, 0, 0]]}, "i_job.head holds 0 to 7"),
        ({"head": [0], "offset": [-17], "lanes": [[0, 0, 0]]}, "i_job.offset holds -16 to 15"),
        ({"head": [0], "offset": [0]}, "i_job has fields"),
    ],
)
def test_what_does_not_fit_is_refused(values: dict, message: str):
    with pytest.raises(ValueError, match=message):
        JOB.pack(values)


def test_description_sorts_the_ports_of_a_head():
    field = {"name": "", "offset": 0, "width": 8, "signed": False, "count": 1}
    kinds = {
        "i_q": ("stream", "in"),
        "o_out": ("stream", "out"),
        "tap_kept": ("tap", "out"),
        "o_counters": ("signal", "out"),
    }
    ports = {
        name: {"kind": kind, "direction": direction, "width": 8, "fields": [field]}
        for name, (kind, direction) in kinds.items()
    }
    given = {"top": "latte_head", "core": "latte", "config": {}, "taps": True, "ports": ports}
    description = Description.from_json(given)
    assert [port.name for port in description.sources] == ["i_q"]
    assert [port.name for port in description.sinks] == ["o_out"]
    assert [port.name for port in description.tap_ports] == ["tap_kept"]
