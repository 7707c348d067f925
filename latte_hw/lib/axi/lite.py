"""AXI4-Lite: the port, and an adapter to a plain bus on which one access happens at a time."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

DATA_BITS = 32
OKAY, SLVERR = 0b00, 0b10
"""Responses of AXI4-Lite that are used."""


class LiteSignature(wiring.Signature):
    """The five channels of AXI4-Lite with 32 data bits, as a manager drives them. `address_bits` count bytes."""

    def __init__(self, address_bits: int) -> None:
        self.address_bits = address_bits
        super().__init__(
            {
                "awaddr": Out(address_bits),
                "awprot": Out(3),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(DATA_BITS),
                "wstrb": Out(DATA_BITS // 8),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(address_bits),
                "arprot": Out(3),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(DATA_BITS),
                "rresp": In(2),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AccessSignature(wiring.Signature):
    """One access at a time, as who asks for it drives it.

    `valid` and what comes with it hold until the cycle in which `done` is high, and fall then for a cycle at least.
    `data` and `error` are read in that cycle. `address` counts words.
    """

    def __init__(self, address_bits: int) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "write": Out(1),
                "address": Out(address_bits),
                "write_data": Out(DATA_BITS),
                "done": In(1),
                "data": In(DATA_BITS),
                "error": In(1),
            }
        )


class LiteAdapter(wiring.Component):
    """Turns AXI4-Lite transactions into accesses, reads and writes in turn when both wait.

    A write that does not strobe all four bytes, and an address that is not a multiple of 4, answer SLVERR without an
    access. `awprot` and `arprot` are ignored. Every output is a register: no path leads from an input to an output.

    Members
    -------
    s_axil
        AXI4-Lite.
    o_access
        One access at a time; see :class:`AccessSignature`.

    Latency from the address (and data) to the response: 3 cycles and what the access takes.
    """

    def __init__(self, address_bits: int) -> None:
        self.address_bits = address_bits
        super().__init__(
            {"s_axil": In(LiteSignature(address_bits)), "o_access": Out(AccessSignature(address_bits - 2))}
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        port, access = self.s_axil, self.o_access
        # Each channel has one register for what came in; its ready says that the register is free.
        write_address = Signal(self.address_bits)
        read_address = Signal(self.address_bits)
        write_data = Signal(DATA_BITS)
        strobes = Signal(DATA_BITS // 8)
        address_held = Signal()
        data_held = Signal()
        read_held = Signal()
        ready = Signal()  # low during reset and in the cycle after it
        m.d.sync += ready.eq(1)
        for valid, free, held, stores in (
            (port.awvalid, port.awready, address_held, [write_address.eq(port.awaddr)]),
            (port.wvalid, port.wready, data_held, [write_data.eq(port.wdata), strobes.eq(port.wstrb)]),
            (port.arvalid, port.arready, read_held, [read_address.eq(port.araddr)]),
        ):
            m.d.comb += free.eq(ready & ~held)
            with m.If(valid & free):
                m.d.sync += [held.eq(1), *stores]

        write_waits = address_held & data_held & ~port.bvalid
        read_waits = read_held & ~port.rvalid
        valid = Signal()
        write = Signal()
        bad = Signal()
        data = Mux(access.error, 0, access.data)
        m.d.comb += [
            access.valid.eq(valid & ~bad),
            access.write.eq(write),
            access.address.eq(Mux(write, write_address, read_address)[2:]),
            access.write_data.eq(write_data),
        ]
        with m.If(~valid):
            # A write goes first; it cannot come twice in a row past a read, because its response is still there then.
            unaligned = Mux(write_waits, write_address[:2].any(), read_address[:2].any())
            m.d.sync += [
                valid.eq(write_waits | read_waits),
                write.eq(write_waits),
                bad.eq(unaligned | (write_waits & ~strobes.all())),
            ]
        with m.Elif(access.done | bad):
            response = Mux(bad | access.error, SLVERR, OKAY)
            m.d.sync += valid.eq(0)
            with m.If(write):
                m.d.sync += [address_held.eq(0), data_held.eq(0), port.bvalid.eq(1), port.bresp.eq(response)]
            with m.Else():
                m.d.sync += [read_held.eq(0), port.rvalid.eq(1), port.rresp.eq(response)]
                m.d.sync += port.rdata.eq(Mux(bad, 0, data))
        with m.If(port.bvalid & port.bready):
            m.d.sync += port.bvalid.eq(0)
        with m.If(port.rvalid & port.rready):
            m.d.sync += port.rvalid.eq(0)
        return m
