"""Thresholds and softmax scales as software sees them, in RAM, and how they get into the cores' own tables."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.lib.axi.lite import AccessSignature
from latte_hw.lib.streams import NEVER_COLLIDES, Valid
from latte_hw.params import SCALE_MANTISSA_BITS, SCALE_SHIFT_BITS, HeadParams, unsigned_bits
from latte_hw.system.payloads import table_write


class HeadTable(wiring.Component):
    """`entries` entries of two words each (threshold; mantissa and shift), which software reads and writes.

    The cores keep two banks of such entries: the one in use, and the one that takes writes. Every word that software
    writes goes to the idle bank at once, together with the entry's other word. When the banks have changed places, all
    entries are written again, so that the bank that is idle now is like what software reads: software may write a
    single entry and leave the others, as if there were one bank, and a layer still sees no half of a change.

    Members
    -------
    i_access
        An access of software; the address is 2·entry for the threshold, 2·entry + 1 for the scale. It waits while
        `i_hold` is high. Never an error.
    i_hold
        Accesses wait.
    i_swapped
        The banks have changed places.
    o_fresh
        The idle bank is like what software reads. Low after a reset, too: a reset does not clear RAM, and it may have
        cut an earlier rewriting short.
    o_table
        Writes to the idle bank.

    An access takes 1 cycle, writing all entries again 2 cycles each and the time of accesses in between.
    """

    def __init__(self, params: HeadParams, entries: int) -> None:
        self.params = params
        self.entries = entries
        self.layout = table_write(params, entries)
        self.address_bits = unsigned_bits(2 * entries - 1)
        super().__init__(
            {
                "i_access": In(AccessSignature(self.address_bits)),
                "i_hold": In(1),
                "i_swapped": In(1),
                "o_fresh": Out(1),
                "o_table": Out(Valid(self.layout)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        access = self.i_access
        m.submodules.words = words = memory.Memory(
            shape=self.layout, depth=max(2, self.entries), init=[], attrs=NEVER_COLLIDES
        )
        write_port = words.write_port()
        read_port = words.read_port()

        entry = Signal(range(max(2, self.entries)))  # that is rewritten next
        rewriting = Signal(init=1)
        serves = Signal()  # software's access, not the rewriting
        merged = Signal(self.layout)
        m.d.comb += [
            self.o_fresh.eq(~rewriting),
            merged.eq(read_port.data),
            merged.head.eq(Mux(serves, access.address >> 1, entry)),
            self.o_table.payload.eq(merged),
            write_port.addr.eq(merged.head),
            write_port.data.eq(merged),
        ]
        with m.If(serves & access.address[0]):
            scale = access.write_data[: SCALE_MANTISSA_BITS + SCALE_SHIFT_BITS]
            m.d.comb += access.data.eq(read_port.data.mantissa | read_port.data.shift << SCALE_MANTISSA_BITS)
            with m.If(access.write):
                m.d.comb += [merged.mantissa.eq(scale), merged.shift.eq(scale >> SCALE_MANTISSA_BITS)]
        with m.Elif(serves):
            m.d.comb += access.data.eq(read_port.data.threshold.as_unsigned())
            with m.If(access.write):
                m.d.comb += merged.threshold.eq(access.write_data)

        # Reading an entry and writing it take turns, so that the RAM is never read where it is written.
        writes = Signal()
        asked = access.valid & ~self.i_hold
        m.d.comb += [
            read_port.en.eq(~writes),
            read_port.addr.eq(Mux(asked, access.address >> 1, entry)),
            access.done.eq(writes & serves),
            self.o_table.valid.eq(writes & ~(serves & ~access.write)),
            write_port.en.eq(writes & serves & access.write),
        ]
        with m.If(writes):
            m.d.sync += writes.eq(0)
            with m.If(~serves):
                m.d.sync += [entry.eq(entry + 1), rewriting.eq(entry != self.entries - 1)]
        with m.Else():
            m.d.sync += [writes.eq(asked | rewriting), serves.eq(asked)]
        with m.If(self.i_swapped):
            m.d.sync += [entry.eq(0), rewriting.eq(1)]
        return m
