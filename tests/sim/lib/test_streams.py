"""The stream models under their own rules."""

from itertools import pairwise

import pytest

from sim.lib.streams import Flow, Pace, StreamSink, StreamSource


def transfer(source: StreamSource, sink: StreamSink, cycles: int) -> list[tuple[bool, int, bool]]:
    """Connect a source to a sink; (valid, payload, ready) of every cycle."""
    trace = []
    for cycle in range(cycles):
        trace.append((source.valid, source.payload, sink.ready))
        if source.valid and sink.ready:
            sink.take(cycle, source.payload)
            source.accept(cycle)
        source.step()
        sink.step()
    return trace


def paces(flow: Flow, seed: int) -> tuple[Pace | None, Pace | None]:
    return (
        Pace("i", seed, 0.5) if flow.idles else None,
        Pace("o", seed, 0.5) if flow.stalls else None,
    )


@pytest.mark.parametrize("flow", Flow)
def test_everything_arrives_in_order_and_nothing_is_left(flow: Flow):
    idle, stall = paces(flow, seed=1)
    source, sink = StreamSource("i", idle), StreamSink("o", stall)
    source.push(range(100))
    transfer(source, sink, 1000)
    assert sink.payloads == list(range(100))
    assert sink.cycles == source.accepted
    assert source.waiting == 0


@pytest.mark.parametrize("flow", Flow)
def test_an_offer_stays_until_it_is_taken(flow: Flow):
    idle, stall = paces(flow, seed=2)
    source, sink = StreamSource("i", idle), StreamSink("o", stall)
    source.push(range(50))
    trace = transfer(source, sink, 300)
    for (valid, payload, ready), (next_valid, next_payload, _) in pairwise(trace):
        if valid and not ready:
            assert next_valid
            assert next_payload == payload


def test_a_free_stream_transfers_in_every_cycle():
    source, sink = StreamSource("i"), StreamSink("o")
    source.push(range(10))
    transfer(source, sink, 12)
    assert sink.cycles == list(range(1, 11))


def test_paces_stall_and_depend_on_seed_and_name_alone():
    def cycles(name: str, seed: int) -> list[int]:
        source, sink = StreamSource(name, Pace(name, seed, 0.5)), StreamSink("o")
        source.push(range(20))
        transfer(source, sink, 200)
        return sink.cycles

    assert cycles("i_q", 1) == cycles("i_q", 1)
    assert cycles("i_q", 1) != cycles("i_q", 2)
    assert cycles("i_q", 1) != cycles("i_k", 1)
    assert cycles("i_q", 1)[-1] > 25
