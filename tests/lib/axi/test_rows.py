"""Rows in and out of AXI4-Stream packets: every ratio of row and beat, every way a packet can be wrong."""

from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
import pytest
from amaranth.lib import data

from latte_hw.config.top import STREAM_BITS
from latte_hw.lib.axi import rows as axi_rows
from latte_hw.lib.axi.rows import RowPacker, RowUnpacker
from sim.blocks.block_bench import BlockRun, run_block
from sim.lib.axi_stream import AsStreams, Beat, to_beats, to_packets
from sim.lib.streams import Flow

ERRORS = ("o_short", "o_long", "o_hole")
MAX_ROWS = 9


def draw(row_bytes: int, rows: list[int], seed: int) -> list[bytes]:
    """Packets of so many rows, none of whose bytes is 0: padding would show."""
    rng = np.random.default_rng(seed)
    return [bytes(rng.integers(1, 256, row_bytes * n, np.uint8)) for n in rows]


def rows_of(packet: bytes, row_bytes: int, n_rows: int) -> list[int]:
    """What the unpacker makes of a packet: `n_rows` rows; what is missing is 0, what is too much is left out."""
    padded = packet[: n_rows * row_bytes].ljust(n_rows * row_bytes, b"\0")
    return [int.from_bytes(padded[i * row_bytes :][:row_bytes], "little") for i in range(n_rows)]


def run_unpacker(
    row_bytes: int, bits: int, rows: list[int], beats: list[Beat], flow: str = Flow.FREE, seed: int = 0
) -> BlockRun:
    unpacker = AsStreams(RowUnpacker(8 * row_bytes, bits, MAX_ROWS))
    return run_block(
        unpacker, {"i_packet": rows, "i": beats}, {"o": sum(rows)}, flow=flow, seed=seed, watch=ERRORS, pace=0.6
    )


FORBIDDEN = 200
"""The byte that is out of range in these tests."""


def run_checked_unpacker(
    row_bytes: int, bits: int, rows: list[int], beats: list[Beat], flow: str, expected_rows: int
) -> BlockRun:
    """The same with a check of the range of bytes."""
    unpacker = AsStreams(RowUnpacker(8 * row_bytes, bits, MAX_ROWS, lambda byte: byte == FORBIDDEN))
    inputs, watch = {"i_packet": rows, "i": beats}, [*ERRORS, "o_range"]
    return run_block(unpacker, inputs, {"o": expected_rows}, flow=flow, seed=3, watch=watch, pace=0.6)


def errors(run: BlockRun) -> tuple[int, ...]:
    """How often each error was raised: short, long, hole."""
    return tuple(sum(run.watched[name]) for name in ERRORS)


def run_packer(
    row_bytes: int, bits: int, packets: list[bytes], flow: str = Flow.FREE, seed: int = 0
) -> tuple[list[bytes], BlockRun]:
    rows = [
        {"row": row, "last": int(i == len(packet) // row_bytes - 1)}
        for packet in packets
        for i, row in enumerate(rows_of(packet, row_bytes, len(packet) // row_bytes))
    ]
    expected = sum(ceil(8 * len(packet) / bits) for packet in packets)
    packer = AsStreams(RowPacker(8 * row_bytes, bits))
    run = run_block(packer, {"i": rows}, {"o": expected}, flow=flow, seed=seed, watch=["o_empty"], pace=0.6)
    return to_packets(run.outputs["o"], bits), run


SHAPES = [(8, bits) for bits in STREAM_BITS] + [(12, 32), (12, 64), (12, 128), (20, 64), (36, 128), (64, 256), (4, 32)]
SHAPE = pytest.mark.parametrize(("row_bytes", "bits"), SHAPES)
ROWS = [3, 1, MAX_ROWS, 8, 1, 2]


@SHAPE
@pytest.mark.parametrize("flow", Flow)
def test_rows_of_good_packets(row_bytes: int, bits: int, flow: str) -> None:
    packets = draw(row_bytes, ROWS, seed=1)
    beats = [beat for packet in packets for beat in to_beats(packet, bits)]
    run = run_unpacker(row_bytes, bits, ROWS, beats, flow, seed=2)
    expected = [row for packet, n in zip(packets, ROWS, strict=True) for row in rows_of(packet, row_bytes, n)]
    assert run.outputs["o"] == expected
    assert errors(run) == (0, 0, 0)


@SHAPE
@pytest.mark.parametrize("flow", Flow)
def test_packets_of_rows(row_bytes: int, bits: int, flow: str) -> None:
    packets = draw(row_bytes, ROWS, seed=3)
    made, run = run_packer(row_bytes, bits, packets, flow, seed=4)
    assert made == packets
    assert run.watched["o_empty"][0] == run.watched["o_empty"][-1] == 1
    assert 0 in run.watched["o_empty"]


@SHAPE
def test_one_beat_or_one_row_per_cycle(row_bytes: int, bits: int) -> None:
    """Whichever is slower sets the pace; a packet of many rows has no gap in it."""
    (packet,) = draw(row_bytes, [MAX_ROWS], seed=5)
    run = run_unpacker(row_bytes, bits, [MAX_ROWS], to_beats(packet, bits))
    slower = max(MAX_ROWS, ceil(8 * len(packet) / bits))
    assert run.cycles["o"][-1] - run.cycles["i"][0] <= slower + 3
    _, packed = run_packer(row_bytes, bits, [packet])
    assert packed.cycles["o"][-1] - packed.cycles["i"][0] <= slower + 3


def test_nothing_is_taken_before_a_packet_is_asked_for() -> None:
    first, second = draw(8, [2, 3], seed=6)
    beats = to_beats(first, 64) + to_beats(second, 64)
    unpacker = AsStreams(RowUnpacker(64, 64, MAX_ROWS))
    with pytest.raises(AssertionError, match="i has 3 left"):
        run_block(unpacker, {"i_packet": [2], "i": beats}, {"o": 2}, cycle_limit=200)


def keep_of(beats: list[Beat], number: int, keep: int) -> list[Beat]:
    """The beats with another `keep` in one of them."""
    return [beat | ({"keep": keep} if i == number % len(beats) else {}) for i, beat in enumerate(beats)]


def filled(packet: bytes, more: int) -> bytes:
    return packet + bytes(range(1, more + 1))


NULL = {"data": 0x55AA55AA, "keep": 0}


def ended_behind(beats: list[Beat], *nulls: int) -> list[Beat]:
    """The beats without their `last`, and behind them beats without bytes, with these values of `last`."""
    return [beat | {"last": 0} for beat in beats] + [NULL | {"last": last} for last in nulls]


# 12-byte rows, four of them, in beats of 8 bytes: 6 beats. Each case: the beats, what the packet then holds, errors.
(GOOD,) = draw(12, [4], seed=7)
BAD: dict[str, tuple[list[Beat], bytes | None, tuple[int, int, int]]] = {
    "a beat short": (to_beats(GOOD[:40], 64), GOOD[:40], (1, 0, 0)),
    "a byte short": (to_beats(GOOD[:47], 64), GOOD[:47], (1, 0, 0)),
    "one beat only": (to_beats(GOOD[:8], 64), GOOD[:8], (1, 0, 0)),
    "no byte at all": (to_beats(b"", 64), b"", (1, 0, 0)),
    "a beat long": (to_beats(filled(GOOD, 8), 64), GOOD, (0, 1, 0)),
    "a byte long": (to_beats(filled(GOOD, 1), 64), GOOD, (0, 1, 0)),
    "very long": (to_beats(filled(GOOD, 99), 64), GOOD, (0, 1, 0)),
    "a gap": (keep_of(to_beats(GOOD, 64), 2, 0b11101111), GOOD, (0, 0, 1)),
    "a gap at the end": (keep_of(to_beats(GOOD, 64), -1, 0b11111101), GOOD, (0, 0, 1)),
    "lane 0 missing": (keep_of(to_beats(GOOD, 64), -1, 0b11111110), GOOD, (0, 0, 1)),
    "partial before the last": (keep_of(to_beats(GOOD, 64), 0, 0b00001111), GOOD, (0, 0, 1)),
    "two gaps": (keep_of(keep_of(to_beats(GOOD, 64), 0, 1), 1, 0), GOOD, (0, 0, 2)),
    "a byte of the second beat": (keep_of(to_beats(GOOD[:16], 64), -1, 0b1), GOOD[:9], (1, 0, 0)),
    "an end without bytes": (ended_behind(to_beats(GOOD, 64), 1), GOOD, (0, 0, 0)),
    "an end without bytes, too early": (ended_behind(to_beats(GOOD[:40], 64), 1), GOOD[:40], (1, 0, 0)),
    "an end without bytes, in lack of a part": (ended_behind(to_beats(GOOD[:44], 64), 1), GOOD[:44], (0, 0, 1)),
    "an end without bytes, too late": (ended_behind(to_beats(filled(GOOD, 8), 64), 1), GOOD, (0, 1, 0)),
    "an end without bytes, much too late": (ended_behind(to_beats(filled(GOOD, 99), 64), 1), GOOD, (0, 1, 0)),
    "a beat without bytes before that end": (ended_behind(to_beats(GOOD, 64), 0, 1), GOOD, (0, 0, 1)),
    "no byte in the first beat": ([NULL | {"last": 0}, *to_beats(GOOD[8:], 64)], None, (0, 0, 1)),
    "no byte within": (keep_of(to_beats(GOOD, 64), 2, 0), None, (0, 0, 1)),
}
"""`None`: what is in the lanes of the beat in question passes as data."""


@pytest.mark.parametrize("flow", Flow)
@pytest.mark.parametrize("name", BAD)
def test_a_bad_packet_is_reported_and_the_next_is_right(name: str, flow: str) -> None:
    beats, meant, reported = BAD[name]
    (after,) = draw(12, [3], seed=8)
    run = run_unpacker(12, 64, [4, 3], beats + to_beats(after, 64), flow, seed=9)
    if meant is None:
        meant = b"".join(beat["data"].to_bytes(8, "little") for beat in beats)
    elif "in lack of a part" in name:
        meant = meant.ljust(48, b"\0")
    assert run.outputs["o"] == rows_of(meant, 12, 4) + rows_of(after, 12, 3)
    assert errors(run) == reported


@pytest.mark.parametrize(("row_bytes", "bits"), [(8, 64), (12, 32), (64, 256), (4, 512)])
@pytest.mark.parametrize("flow", Flow)
def test_packets_that_end_in_a_beat_without_bytes(row_bytes: int, bits: int, flow: str) -> None:
    """As a transmitter sends them that learns of the end behind the last byte; some packets end the usual way."""
    packets = draw(row_bytes, ROWS, seed=13)
    beats = [
        beat
        for number, packet in enumerate(packets)
        for beat in (ended_behind(to_beats(packet, bits), 1) if number % 3 < 2 else to_beats(packet, bits))
    ]
    run = run_unpacker(row_bytes, bits, ROWS, beats, flow, seed=14)
    expected = [row for packet, n in zip(packets, ROWS, strict=True) for row in rows_of(packet, row_bytes, n)]
    assert run.outputs["o"] == expected
    assert errors(run) == (0, 0, 0)


def test_a_long_packet_of_many_rows_a_beat() -> None:
    """Rows too many that share the last beat with a wanted one are dropped as well."""
    packet, after = draw(8, [3, 9], seed=10)
    run = run_unpacker(8, 512, [2, 9], to_beats(packet, 512) + to_beats(after, 512))
    assert run.outputs["o"] == rows_of(packet, 8, 2) + rows_of(after, 8, 9)
    assert errors(run) == (0, 1, 0)


def test_a_last_beat_that_is_full_though_less_is_due_is_long() -> None:
    (packet,) = draw(12, [1], seed=11)
    full = keep_of(to_beats(packet, 64), -1, 0b11111111)
    run = run_unpacker(12, 64, [1], full)
    assert run.outputs["o"] == rows_of(packet, 12, 1)
    assert errors(run) == (0, 1, 0)


def test_a_row_of_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="whole number of bytes, not 12 bits"):
        axi_rows.row_bytes(data.ArrayLayout(3, 4))


def test_packets_follow_at_a_short_distance() -> None:
    """The documented cost of a packet: four cycles in, one out."""
    packets = draw(8, [4] * 5, seed=12)
    run = run_unpacker(8, 64, [4] * 5, [beat for packet in packets for beat in to_beats(packet, 64)])
    ends: list[Any] = run.cycles["o"][3::4]
    assert max(after - before for before, after in pairwise(ends)) <= 4 + 4
    _, packed = run_packer(8, 64, packets)
    ends = packed.cycles["o"][3::4]
    assert max(after - before for before, after in pairwise(ends)) <= 4 + 1


# --- range of bytes ---------------------------------------------------------------------------------------------------


@pytest.mark.each_choice
@pytest.mark.parametrize("flow", Flow)
@pytest.mark.parametrize(("row_bytes", "bits"), [(8, 32), (12, 64), (20, 64), (8, 512)])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_one_byte_out_of_range_is_one_event(row_bytes: int, bits: int, place: str, flow: str) -> None:
    """In the first, a middle and the last byte of the second of three packets."""
    packets = [packet.replace(bytes([FORBIDDEN]), b"\1") for packet in draw(row_bytes, [3, 5, 2], seed=13)]
    size = len(packets[1])
    index = {"first": 0, "middle": size // 2, "last": size - 1}[place]
    spoiled = packets[1][:index] + bytes([FORBIDDEN]) + packets[1][index + 1 :]
    beats = [beat for packet in (packets[0], spoiled, packets[2]) for beat in to_beats(packet, bits)]
    run = run_checked_unpacker(row_bytes, bits, [3, 5, 2], beats, flow, 10)
    assert run.outputs["o"][3:8] == rows_of(spoiled, row_bytes, 5)
    assert (sum(run.watched["o_range"]), errors(run)) == (1, (0, 0, 0))
    free = run_checked_unpacker(row_bytes, bits, [3], to_beats(packets[0], bits), flow, 3)
    assert sum(free.watched["o_range"]) == 0


OUT = bytes([FORBIDDEN])
NO_ELEMENT: dict[str, tuple[list[Beat], tuple[int, int, int]]] = {
    "behind the last row, in its beat": (to_beats(filled(GOOD[:-4], 0) + GOOD[-4:] + OUT, 64), (0, 1, 0)),
    "in a beat of its own": (to_beats(filled(GOOD, 8) + OUT, 64), (0, 1, 0)),
    "in a lane that is not kept": (
        [beat | {"data": beat["data"] | FORBIDDEN << 56 if beat["last"] else beat["data"]} for beat in
         to_beats(GOOD[:44], 64)],
        (1, 0, 0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_ELEMENT)
def test_a_byte_that_is_no_element_is_not_judged(name: str) -> None:
    beats, reported = NO_ELEMENT[name]
    run = run_checked_unpacker(12, 64, [4], beats, Flow.FREE, 4)
    assert (sum(run.watched["o_range"]), errors(run)) == (0, reported)


def test_a_byte_of_a_beat_with_a_hole_is_judged_as_it_is_taken() -> None:
    packet = OUT + GOOD[1:]
    run = run_checked_unpacker(12, 64, [4], keep_of(to_beats(packet, 64), 0, 0b11111110), Flow.FREE, 4)
    assert run.outputs["o"] == rows_of(packet, 12, 4)
    assert (sum(run.watched["o_range"]), errors(run)) == (1, (0, 0, 1))
