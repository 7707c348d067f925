"""RAMs that hold rows of K and V, and the ports that they are read through."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.config import TOTAL_BITS
from latte_hw.lib.streams import NEVER_COLLIDES, Valid, delayed, delayed_data
from latte_hw.params import CoreParams


class ReadPort(wiring.Signature):
    """A read port of the store, as its user sees it: requests, and a response to each of them in their order.

    On chip `request.ready` is always high, and a response comes `latency.store` cycles after its request; behind a
    memory controller neither is so. A user takes it as it comes: it sends when `ready` is high and has reserved the
    credit for what becomes of the response, which it knows by `response.valid`. What belongs to a request waits in
    :func:`beside_read`.

    The response of a value is staggered: each group of `division.lanes` elements is `division.stagger` cycles behind
    the one before, `valid` with the first (see :class:`latte_hw.core.accumulator.Accumulator`).
    """

    def __init__(self, address_bits: int, shape: Any) -> None:
        request = data.StructLayout({"buffer": unsigned(1), "address": unsigned(address_bits)})
        super().__init__({"request": Out(stream.Signature(request)), "response": In(Valid(shape))})


def beside_read(m: Module, params: CoreParams, value: Any, name: str) -> Any:
    """What belongs to a request, in the cycle of its response."""
    return delayed_data(m, value, params.latency.store, name)


def answer(m: Module, params: CoreParams, port: Any, name: str) -> None:
    """The handshake of the store's side: every request is taken, and answered after the latency of the RAMs."""
    m.d.comb += [
        port.request.ready.eq(1),
        port.response.valid.eq(delayed(m, port.request.valid, params.latency.store, f"{name}_reads")),
    ]


def pointer_of(params: CoreParams, buffer: Value, address: Value, address_bits: int) -> Value:
    """Where a row or beat of a buffer lies in its RAM."""
    two = params.config.kv_buffers == 2
    return Cat(address[:address_bits], buffer) if two else address[:address_bits]


def row_ram(
    m: Module,
    params: CoreParams,
    name: str,
    shape: data.Layout,
    depth: int,
    *,
    write: tuple,
    reads: list[tuple],
    slices: int = 0,
) -> None:
    """One RAM over all buffers; a read takes `latency.store` cycles, the first of them in the RAM.

    With two reads, the write takes the port of the first one. Of a read whose address is `slices` cycles late, as many
    registers behind the RAM are left out.
    """
    words = params.widths.buffered_words(depth)
    m.submodules[name] = ram = memory.Memory(shape=shape.size, depth=words, init=[], attrs=NEVER_COLLIDES)
    write_enable, write_pointer, write_data = write
    read_pointers = [pointer for pointer, _ in reads]
    waits = params.latency.store - 1 - slices
    if len(reads) > 1:
        shared = Signal(len(read_pointers[0]), name=f"{name}_shared")  # one signal: so Yosys sees one port
        m.d.comb += shared.eq(Mux(write_enable, write_pointer, read_pointers[0]))
        write_pointer = read_pointers[0] = shared

    write_port = ram.write_port()
    m.d.comb += [
        write_port.en.eq(write_enable),
        write_port.addr.eq(write_pointer),
        write_port.data.eq(Value.cast(write_data)),
    ]
    for number, (pointer, (_, read_data)) in enumerate(zip(read_pointers, reads, strict=True)):
        read_port = ram.read_port()
        m.d.comb += read_port.addr.eq(pointer)
        own = f"{name}_read_{number}" if len(reads) > 1 else f"{name}_read"
        waited = delayed_data(m, read_port.data, waits, own)
        m.d.comb += Value.cast(read_data).eq(waited)


def bank_rams(m: Module, params: CoreParams, name: str, *, write: tuple, read: tuple, slices: int) -> None:
    """A bank of K's high parts, see :attr:`latte_hw.params.widths.Widths.bank_bits`."""
    write_enable, write_pointer, row = write
    read_pointer, read_data = read
    low = 0
    for number, bits in enumerate(params.widths.bank_bits):
        part = slice(low, low + bits)
        row_ram(
            m, params, f"{name}_rest" if number else name, data.ArrayLayout(1, bits), params.widths.max_beats,
            write=(write_enable, write_pointer, Value.cast(row)[part]),
            reads=[(read_pointer, Value.cast(read_data)[part])],
            slices=slices,
        )  # fmt: skip
        low += bits


def value_rams(
    m: Module, params: CoreParams, name: str, ports: list[Any], write: Value, pointers: list[Signal], row: Any
) -> None:
    """A RAM for each group of elements; the addresses go from one to the next."""
    lanes = params.division.lanes
    slices = params.pipeline.value_read
    sent = [
        tuple(
            delayed_data(m, port.request.payload[what], slices, f"{name}_sent_{what}{number}")
            for what in ("buffer", "address")
        )
        for number, port in zip(("", "_1"), ports, strict=False)
    ]
    for group in range(params.division.cycles):
        if group:
            sent = [
                tuple(
                    delayed_data(m, value, params.division.stagger, f"{name}_{group}_{what}{number}")
                    for value, what in zip(pair, ("buffer", "address"), strict=True)
                )
                for number, pair in zip(("", "_1"), sent, strict=False)
            ]
        elements = slice(group * lanes, min((group + 1) * lanes, params.config.head_dim))
        here = data.ArrayLayout(signed(TOTAL_BITS), elements.stop - elements.start)
        bits = slice(elements.start * TOTAL_BITS, elements.stop * TOTAL_BITS)
        row_ram(
            m, params, f"{name}_{group}", here, params.config.max_keys,
            write=(write, pointers[group % len(pointers)], Value.cast(row)[bits]),
            reads=[
                (pointer_of(params, pair[0], pair[1], params.widths.key_bits), Value.cast(port.response.payload)[bits])
                for pair, port in zip(sent, ports, strict=True)
            ],
            slices=slices,
        )  # fmt: skip
