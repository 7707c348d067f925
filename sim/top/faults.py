"""Scenarios for :mod:`sim.top.runner`: what goes wrong is reported by the driver, and the next layer is right."""

from collections.abc import Callable
from functools import partial
from typing import Any

from cocotbext.axi import AxiStreamFrame

from latte_hw import driver
from latte_hw.config.errors import LatteError
from latte_hw.driver.layers import packets_of
from latte_hw.system.events import PACKET_ERRORS
from sim.top.bench import TopBench
from sim.top.layers import run_layer, tensors_of
from sim.top.transport import INPUTS

LAYER: dict[str, Any] = {"shape": "random", "heads": 4, "kv_heads": 2, "n_queries": 5, "n_keys": 9}
KINDS = {"short": driver.ShortPacketError, "long": driver.LongPacketError, "hole": driver.HoleError}


def spoiled(packet: bytes, kind: str, lanes: int) -> AxiStreamFrame:
    """A packet that ends after its first beat, goes on for a beat and a byte, or has a hole in its first beat."""
    if kind == "short":
        return AxiStreamFrame(packet[:lanes])
    if kind == "long":
        return AxiStreamFrame(packet + bytes(range(1, lanes + 2)))
    keep = [1] * len(packet)
    keep[1] = 0
    return AxiStreamFrame(packet, tkeep=keep)


def raised_by(kind: type[Exception], call: Callable[[], Any]) -> Any:
    """The exception of this kind that the call raises; an :class:`AssertionError` if it raises none."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def ended_behind(packet: bytes, lanes: int) -> AxiStreamFrame:
    """A good packet whose `tlast` comes on a beat without bytes behind the last one."""
    padding = -len(packet) % lanes + lanes
    return AxiStreamFrame(packet + bytes(padding), tkeep=[1] * len(packet) + [0] * padding)


class Spoiler:
    """Stands in for a transport's `send`: spoils one packet of a stream, counted from 0."""

    def __init__(self, bench: TopBench, stream: str, kind: str, number: int) -> None:
        self._send, self._transport = bench.transport.send, bench.transport
        self._lanes = bench.config.stream_bytes
        self._stream, self._kind, self._left = stream, kind, number

    def __call__(self, stream: str, packet: bytes) -> None:
        if stream != self._stream:
            self._send(stream, packet)
            return
        if self._left == 0:
            self._transport.send_frame(stream, spoiled(packet, self._kind, self._lanes))
        else:
            self._send(stream, packet)
        self._left -= 1


def malformed(bench: TopBench) -> dict[str, Any]:
    """Each kind of wrong packet on each stream, first and last packet: the typed error, its bit alone, and recovery."""
    layer = tensors_of(bench.config, **LAYER)
    good_send = bench.transport.send
    raised = []
    for stream in INPUTS:
        packets = len(packets_of(layer.q8 if stream == "q" else layer.k8, bench.config))
        for kind, error in KINDS.items():
            for number in sorted({0, packets - 1}):
                bench.transport.send = Spoiler(bench, stream, kind, number)  # type: ignore[method-assign, assignment]
                reported = raised_by(error, lambda: bench.latte.attention(layer.q8, layer.k8, layer.v8))
                bench.transport.send = good_send  # type: ignore[method-assign, assignment]
                assert reported.bits == (f"{stream}_{kind}",), reported.bits
                raised.append(reported.bits[0])
                bench.transport.assert_nothing_left()
                assert bench.latte.registers.error_bits() == []
                run_layer(bench, layer)
    assert set(raised) == set(PACKET_ERRORS)
    return {"raised": raised}


def ends_without_bytes(bench: TopBench) -> dict[str, Any]:
    """Packets that end in a beat without bytes, on each stream and on all of them, are as good as others."""
    layer = tensors_of(bench.config, **LAYER)
    send, lanes = bench.transport.send, bench.config.stream_bytes
    sent: list[str] = []
    for streams in (*INPUTS, INPUTS):

        def send_on(name: str, packet: bytes, late: Any = streams) -> None:
            if name in late:
                sent.append(name)
                bench.transport.send_frame(name, ended_behind(packet, lanes))
            else:
                send(name, packet)

        bench.transport.send = send_on  # type: ignore[method-assign, assignment]
        run_layer(bench, layer)
        assert bench.latte.registers.error_bits() == []
    bench.transport.send = send  # type: ignore[method-assign]
    return {"sent": len(sent)}


def misplaced_ends(bench: TopBench) -> dict[str, Any]:
    """`tlast` where none is due, the packet going on behind it, and no `tlast` where one is due, on each stream.

    The first makes two packets of one: a typed error, after which nothing of them is left. The second makes one of two:
    the core waits for one more, which the driver reports as a stall, with the sticky bit; a soft reset ends it.
    """
    layer, reported = tensors_of(bench.config, **LAYER), {}
    lanes, send = bench.config.stream_bytes, bench.transport.send
    for stream in INPUTS:
        held: list[bytes] = []

        def cut(name: str, packet: bytes, wrong: str = stream) -> None:
            for part in (packet[:lanes], packet[lanes:]) if name == wrong else (packet,):
                send(name, part)

        def merged(name: str, packet: bytes, wrong: str = stream, kept: list[bytes] = held) -> None:
            if name == wrong and not kept:
                kept.append(packet)
            else:
                send(name, b"".join(kept) + packet if name == wrong and len(kept) == 1 else packet)
                kept.extend([b""] if name == wrong else [])

        for tamper, error in ((cut, driver.ShortPacketError), (merged, driver.StallError)):
            bench.transport.send = tamper  # type: ignore[method-assign, assignment]
            raised = raised_by(error, lambda: bench.latte.attention(layer.q8, layer.k8, layer.v8))
            bench.transport.send = send  # type: ignore[method-assign]
            if error is driver.StallError:
                assert f"errors: {stream}_long" in str(raised), raised
                bench.latte.soft_reset()
            else:
                assert raised.bits == (f"{stream}_short",), raised.bits
            bench.transport.assert_nothing_left()
            run_layer(bench, layer)
            reported[f"{stream} {tamper.__name__}"] = str(raised)
    return reported


BUSY_WRITES: dict[str, dict[str, int]] = {
    "layer_heads": {"heads": 2, "group_size": 1},
    "layer_lengths": {"n_queries": 1, "n_keys": 1},
    "causal_offset": {"offset": 3},
    "control": {"start": 1},
}


def changes_while_busy(bench: TopBench) -> dict[str, Any]:
    """Each register that describes a layer, and START, written while one runs: a typed error, and neither that layer
    nor the next is disturbed."""
    layer, reported = tensors_of(bench.config, **LAYER), {}
    good = packets_of(run_layer(bench, layer), bench.config)
    receive, wait = bench.transport.receive, bench.transport.wait
    for path, values in BUSY_WRITES.items():
        came: list[bytes] = []
        written: list[str] = []

        def note(size: int, to: list[bytes] = came) -> bytes | None:
            packet = receive(size)
            to.extend([] if packet is None else [packet])
            return packet

        def write_once(path: str = path, values: dict[str, int] = values, done: list[str] = written) -> None:
            if not done:
                assert bench.latte.registers.read("status")["busy"]
                bench.latte.registers.write(path, **values)
                done.append(path)
            wait()

        bench.transport.receive, bench.transport.wait = note, write_once  # type: ignore[method-assign]
        error = raised_by(driver.BusyError, lambda: bench.latte.attention(layer.q8, layer.k8, layer.v8))
        bench.transport.receive, bench.transport.wait = receive, wait  # type: ignore[method-assign]
        assert error.bits == ("busy_write",), error.bits
        assert came == good, f"{path} written while busy has changed the layer"
        out = bench.latte.attention(layer.q8, layer.k8, layer.v8)
        assert packets_of(out, bench.config) == good
        reported[path] = str(error)
    return reported


def refusals(bench: TopBench) -> dict[str, Any]:
    """Lengths that the core refuses although the driver was made to ask: typed errors, and no packet stays behind."""
    layer = tensors_of(bench.config, **LAYER)
    registers, write = bench.latte.registers, bench.latte.registers.write
    reported: dict[str, str] = {}
    wrong = {
        "length_zero": ("layer_lengths", {"n_queries": 0}),
        "length_too_large": ("layer_lengths", {"n_keys": bench.config.max_keys + 1}),
    }
    for bit, (path, change) in wrong.items():

        def spoil(written: str, _path: str = path, _change: Any = change, **values: int) -> None:
            write(written, **(values | _change if written == _path else values))

        registers.write = spoil  # type: ignore[method-assign, assignment]
        error = raised_by(driver.LengthError, lambda: bench.latte.attention(layer.q8, layer.k8, layer.v8))
        registers.write = write  # type: ignore[method-assign, assignment]
        assert error.bits == (bit,)
        reported[bit] = str(error)
        run_layer(bench, layer)
    return reported


def stalls(bench: TopBench) -> dict[str, Any]:
    """A stream whose packets do not come, an output that nobody takes: the driver says so, and then all is well."""
    layer = tensors_of(bench.config, **LAYER)
    send, reported = bench.transport.send, {}
    for stream in INPUTS:

        def lossy(name: str, packet: bytes, lost: str = stream) -> None:
            if name != lost:
                send(name, packet)

        bench.transport.send = lossy  # type: ignore[method-assign, assignment]
        reported[stream] = str(
            raised_by(driver.StallError, lambda: bench.latte.attention(layer.q8, layer.k8, layer.v8))
        )
        bench.transport.send = send  # type: ignore[method-assign, assignment]
        again = str(raised_by(driver.StallError, lambda: bench.latte.attention(layer.q8, layer.k8, layer.v8)))
        assert "still busy with an earlier command" in again, again
        bench.latte.soft_reset()
        run_layer(bench, layer)
    bench.transport.sink.pause = True
    reported["o"] = str(raised_by(driver.StallError, lambda: bench.latte.attention(layer.q8, layer.k8, layer.v8)))
    bench.transport.sink.pause = False
    bench.latte.soft_reset()
    run_layer(bench, layer)
    return reported


def bad_addresses(bench: TopBench) -> dict[str, Any]:
    """Addresses without a register answer SLVERR, which is a BusError; the next access is well."""
    for access in (lambda: bench.transport.read32(0x40), lambda: bench.transport.write32(0x0, 1)):
        reported = str(raised_by(driver.BusError, access))
        assert "SLVERR" in reported, reported
        assert bench.latte.registers.read("status")["idle"]
    return {}


def refused_by_the_driver(bench: TopBench) -> dict[str, Any]:
    """What is wrong with arrays is reported before anything is sent."""
    layer = tensors_of(bench.config, **LAYER)
    reported, good = [], {"q": layer.q8, "k": layer.k8, "v": layer.v8}
    for change in ({"q": layer.q8[:3]}, {"k": layer.k8[:, :4]}, {"q": layer.q8.astype(float)}, {"v": layer.v8[:1]}):
        arrays = good | change
        reported.append(str(raised_by(LatteError, partial(bench.latte.attention, **arrays))))
    run_layer(bench, layer)
    return {"refused": reported}
