"""On-chip K and V: the high parts of K in P banks for the scan, whole rows of K and V for the kept keys."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.core.kv_rams import ReadPort, bank_rams, place_of, row_ram, value_rams
from latte_hw.core.payloads import Payloads
from latte_hw.lib.arith import high_part, low_part, saturate_element
from latte_hw.lib.names import numbered
from latte_hw.lib.streams import Fifo, delayed, delayed_data, fan_out
from latte_hw.params import CoreParams


class KvStore(wiring.Component):
    """K and V of `kv_buffers` heads, `max_keys` keys each.

    Key j lies in bank j mod P at beat j // P, so that one read of all banks yields the P keys of a beat. With several
    `readers`, whole rows lie in as many RAMs of equal content. One buffer alone is never loaded while it is read, so
    that half as many RAMs will do: they have two ports, two readers share one, and loading takes a port of theirs.

    A value's elements lie in a RAM per group, which are read one after the other.

    Members
    -------
    i_load
        Announces `n_keys` rows; taken when a buffer is free.
    i_k, i_v
        The rows, in the order of the keys; elements above `quant_max` are saturated.
    o_loaded
        Loaded buffers, oldest first.
    i_free
        Gives the oldest buffer back.
    o_loading
        With `appends`: high while any load is in flight.
    beat_port, key_port, value_port
        Reads; every port yields one row (or beat) per cycle. With several readers `key_port_0`, `value_port_0` and on.

    With `appends`, a load with `append` brings one row of K and of V behind those of the buffer that was loaded last,
    which must not have been given back; `n_keys` of what `o_loaded` offers grows with it, the only payload that may
    change before it is taken. `o_loading` is high while any load is under way: with that, queries that are to see the
    row know when they may be sent. A row beyond `max_keys` is left out.

    Without `banks` there are no high parts in banks and no `beat_port`: a core that reads whole rows needs neither.

    Throughput: one row of K and one of V per cycle. Loading one buffer overlaps reading the other.
    """

    def __init__(self, params: CoreParams, *, banks: bool = True, readers: int = 1, appends: bool = False) -> None:
        self.params = params
        self.banks = banks
        self.readers = readers
        self.appends = appends
        payloads = Payloads(params)
        beat_port = {"beat_port": In(ReadPort(params.widths.beat_bits, payloads.high_beat))}
        super().__init__(
            {
                "i_load": In(stream.Signature(payloads.append_load if appends else payloads.load)),
                **({"o_loading": Out(1)} if appends else {}),
                "i_k": In(stream.Signature(payloads.element_row)),
                "i_v": In(stream.Signature(payloads.element_row)),
                "o_loaded": Out(stream.Signature(payloads.loaded)),
                "i_free": In(1),
                **(beat_port if banks else {}),
                **{
                    name: In(ReadPort(params.widths.key_bits, payloads.split_row))
                    for name in numbered("key_port", readers)
                },
                **{
                    name: In(ReadPort(params.widths.key_bits, payloads.element_row))
                    for name in numbered("value_port", readers)
                },
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params, config = self.params, self.params.config
        payloads = Payloads(params)

        free = Signal(range(config.kv_buffers + 1), init=config.kv_buffers)
        buffer = Signal(1)
        loading = Signal()
        n_keys = Signal(params.widths.count_bits)
        m.submodules.loaded = loaded = Fifo(payloads.loaded, depth=max(3, config.kv_buffers + 1))
        if not self.appends:
            wiring.connect(m, loaded.o, wiring.flipped(self.o_loaded))

        may_start = free != 0
        if self.appends:
            may_start = may_start | self.i_load.payload.append
        m.d.comb += self.i_load.ready.eq(~loading & may_start)
        started = begun = self.i_load.valid & self.i_load.ready
        if self.appends:
            started = begun & ~self.i_load.payload.append
            m.d.comb += self.o_loading.eq(loading)
        with m.If(started):
            m.d.sync += [loading.eq(1), n_keys.eq(self.i_load.payload.n_keys)]

        hops = params.pipeline
        k_row = delayed_data(m, self.i_k.payload, hops.row_load, "k_loaded")
        v_row = delayed_data(m, self.i_v.payload, hops.row_load, "v_loaded")
        k_split = Signal(payloads.split_row, reset_less=True)
        v_saturated = Signal(payloads.element_row, reset_less=True)
        for d in range(config.head_dim):
            element = saturate_element(params, k_row[d])
            m.d.sync += k_split.high[d].eq(high_part(params, element))
            if params.widths.low_bits:
                m.d.sync += k_split.low[d].eq(low_part(params, element))
            m.d.sync += v_saturated[d].eq(saturate_element(params, v_row[d]))
        done = []
        writes = {}
        for name, port in (("k", self.i_k), ("v", self.i_v)):
            row = Signal(params.widths.count_bits, name=f"{name}_row")
            left = Signal(params.widths.count_bits, name=f"{name}_left")
            more = Signal(name=f"{name}_more")  # rows are left
            arrived = port.valid & port.ready
            m.d.comb += port.ready.eq(more)
            with m.If(arrived):
                m.d.sync += [row.eq(row + 1), left.eq(left - 1), more.eq(left != 1)]
            with m.If(started):
                n_rows = self.i_load.payload.n_keys
                m.d.sync += [row.eq(0), left.eq(n_rows), more.eq(n_rows != 0)]
            if self.appends:
                with m.If(begun & ~started):
                    m.d.sync += [left.eq(1), more.eq(1)]
            done.append(~more)

            # Registers of their own, the place's even several: the writes go to RAM all over the chip.
            stores = delayed(m, arrived & (row < config.max_keys), hops.row_load, f"{name}_stores")
            written = Signal(name=f"{name}_written")
            m.d.sync += written.eq(stores)
            address = place_of(params, buffer, row, params.widths.key_bits)
            places = fan_out(m, address, f"{name}_place", 1 + hops.row_load + hops.row_write)
            writes[name] = (stores, written, places)

        appending = Signal()
        complete = loading & done[0] & done[1]
        for cycle in range(hops.row_load):
            complete = complete & delayed(m, done[0] & done[1], cycle + 1, f"done_{cycle}")
        m.d.comb += [
            loaded.i.valid.eq(complete & ~appending if self.appends else complete),
            loaded.i.payload.buffer.eq(buffer),
            loaded.i.payload.n_keys.eq(Mux(n_keys < config.max_keys, n_keys, config.max_keys)),
        ]
        finished = loaded.i.valid & loaded.i.ready
        with m.If(finished | (complete & appending) if self.appends else finished):
            m.d.sync += loading.eq(0)
            if config.kv_buffers == 2:
                m.d.sync += buffer.eq(~buffer)
        if self.appends:
            with m.If(begun):
                m.d.sync += [loading.eq(1), appending.eq(~started)]
                if config.kv_buffers == 2:  # back to the buffer that was loaded last
                    m.d.sync += buffer.eq(buffer ^ ~started)
            self._offer_growing(m, loaded, finished, complete & appending, buffer)
        m.d.sync += free.eq(free - started + self.i_free)

        k_stores, k_write, k_places = writes["k"]
        _, v_write, v_places = writes["v"]
        if self.banks:
            # What is on its way to the banks meets a row that is as late.
            for number in range(hops.bank_write):
                k_stores = delayed(m, k_stores, 1, f"k_bank_stores_{number}") if number else k_write
            rows = fan_out(m, Value.cast(k_split.high), "k_bank_row", hops.bank_write)
            sent = place_of(params, self.beat_port.buffer, self.beat_port.address, params.widths.beat_bits)
            read_places = fan_out(m, sent, "k_bank_read_place", hops.bank_read)
            bank, beat = self._bank_and_beat(m, started, k_stores)
            places = fan_out(m, place_of(params, buffer, beat, params.widths.beat_bits), "k_bank_place")
            for lane in range(config.keys_per_cycle):
                bank_written = Signal(name=f"k_bank_{lane}_written")
                m.d.sync += bank_written.eq(k_stores & ~(bank ^ lane).any())
                bank_rams(
                    m, params, f"k_bank_{lane}",
                    write=(bank_written, places[lane % len(places)], rows[lane % len(rows)]),
                    read=(read_places[lane % len(read_places)], self.beat_port.data[lane]),
                    slices=hops.bank_read,
                )  # fmt: skip
        k_write, v_write = (
            delayed(m, one, hops.row_write, f"{n}_write") for n, one in (("k", k_write), ("v", v_write))
        )
        k_split = delayed_data(m, k_split, hops.row_write, "k_split")
        v_saturated = delayed_data(m, v_saturated, hops.row_write, "v_saturated")
        shares = params.widths.readers_per_ram
        for number, first in enumerate(range(0, self.readers, shares)):
            names = [numbered(name, self.readers)[first : first + shares] for name in ("key_port", "value_port")]
            key_ports, value_ports = ([getattr(self, name) for name in ports] for ports in names)
            suffix = f"_{number}" if self.readers > shares else ""
            row_ram(
                m, params, f"k_rows{suffix}", payloads.split_row, config.max_keys, write=(k_write, k_places[number %
                len(k_places)], k_split), reads=[(place_of(params, port.buffer, port.address, params.widths.key_bits),
                port.data) for port in key_ports],
            )  # fmt: skip
            value_rams(m, params, f"v_rows{suffix}", value_ports, v_write, v_places, v_saturated)
        return m

    def _offer_growing(self, m: Module, loaded: Fifo, finished: Value, appended: Value, buffer: Value) -> None:
        """Loaded buffers with the rows that they hold by now."""
        held = [Signal(self.params.widths.count_bits, name=f"held_rows_{number}") for number in range(2)]
        for number, rows in enumerate(held):
            with m.If(finished & (buffer == number)):
                m.d.sync += rows.eq(loaded.i.payload.n_keys)
            with m.If(appended & (buffer == number) & (rows != self.params.config.max_keys)):
                m.d.sync += rows.eq(rows + 1)
        oldest = loaded.o.payload.buffer
        m.d.comb += [
            self.o_loaded.valid.eq(loaded.o.valid),
            loaded.o.ready.eq(self.o_loaded.ready),
            self.o_loaded.payload.buffer.eq(oldest),
            self.o_loaded.payload.n_keys.eq(Mux(oldest, held[1], held[0])),
        ]

    def _bank_and_beat(self, m: Module, started: Value, written: Value) -> tuple[Value, Value]:
        """Where the next row of K belongs."""
        bank = Signal(range(max(2, self.params.config.keys_per_cycle)))
        beat = Signal(self.params.widths.beat_bits)
        with m.If(written):
            m.d.sync += bank.eq(bank + 1)
            with m.If(bank == self.params.config.keys_per_cycle - 1):
                m.d.sync += [bank.eq(0), beat.eq(beat + 1)]
        with m.If(started):
            m.d.sync += [bank.eq(0), beat.eq(0)]
        return bank, beat
