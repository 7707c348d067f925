"""On-chip K and V: the high parts of K in P banks for the scan, whole rows of K and V for the kept keys."""

from typing import Any, NamedTuple

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.core.kv_rams import ReadPort, answer, bank_rams, pointer_of, row_ram, value_rams
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
        The rows, in the order of the keys; elements of K above `quant_max` are saturated, those of V may be any int8.
    o_loaded
        Loaded buffers, oldest first.
    i_free
        Releases the oldest buffer.
    o_loading
        With `appends`: high while any load is in flight.
    beat_port, key_port, value_port
        Reads; every port yields one row (or beat) per cycle. With several readers `key_port_0`, `value_port_0` and on.

    With `appends`, a load with `append` brings one row of K and of V behind those of the buffer that was loaded last,
    which must not have been released; `n_keys` of what `o_loaded` offers grows with it, the only payload that may
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

    @property
    def read_ports(self) -> list[str]:
        """Names of all ports that read."""
        rows = [*numbered("key_port", self.readers), *numbered("value_port", self.readers)]
        return [*(["beat_port"] if self.banks else []), *rows]

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        load = _Load(self.params)
        self._take_loads(m, load)
        split, values = self._elements(m)
        k, v = (self._writes(m, load, name) for name in ("k", "v"))
        self._finish_load(m, load)
        if self.banks:
            self._banks(m, load, k, split.high)
        self._rows(m, k, v, split, values)
        for name in self.read_ports:
            answer(m, self.params, getattr(self, name), name)
        return m

    # --- loads --------------------------------------------------------------------------------------------------

    def _take_loads(self, m: Module, load: "_Load") -> None:
        """A load begins when a buffer is free, or at once when it appends to one that is loaded."""
        free = Signal(range(self.params.config.kv_buffers + 1), init=self.params.config.kv_buffers)
        may_start = free != 0
        if self.appends:
            may_start = may_start | self.i_load.payload.append
        m.d.comb += [
            self.i_load.ready.eq(~load.loading & may_start),
            load.begun.eq(self.i_load.valid & self.i_load.ready),
            load.started.eq(load.begun & ~self.i_load.payload.append if self.appends else load.begun),
        ]
        with m.If(load.started):
            m.d.sync += [load.loading.eq(1), load.n_keys.eq(self.i_load.payload.n_keys)]
        # What a load sets beside `loading`, later: rows are taken from the cycle after on.
        slices = self.params.pipeline.load_start
        load.counts_start = delayed(m, load.started, slices, "load_started")
        load.append_starts = delayed(m, load.begun & ~load.started, slices, "append_started")
        load.n_rows = delayed_data(m, self.i_load.payload.n_keys, slices, "n_rows")
        if self.appends:
            m.d.comb += self.o_loading.eq(load.loading)
        m.d.sync += free.eq(free - load.started + self.i_free)

    def _finish_load(self, m: Module, load: "_Load") -> None:
        """When all rows of K and V have come, the buffer is offered, or grows by a row."""
        config, hops = self.params.config, self.params.pipeline
        m.submodules.loaded = loaded = Fifo(Payloads(self.params).loaded, depth=max(3, config.kv_buffers + 1))
        complete = load.loading & ~load.more["k"] & ~load.more["v"]
        for cycle in range(hops.load_start):
            complete = complete & ~delayed(m, load.begun, cycle + 1, f"begun_{cycle}")
        for cycle in range(hops.row_load):
            complete = complete & delayed(m, load.rows_done(), cycle + 1, f"done_{cycle}")
        m.d.comb += [
            loaded.i.valid.eq(complete & ~load.appending if self.appends else complete),
            loaded.i.payload.buffer.eq(load.buffer),
            loaded.i.payload.n_keys.eq(Mux(load.n_keys < config.max_keys, load.n_keys, config.max_keys)),
        ]
        finished = loaded.i.valid & loaded.i.ready
        with m.If(finished | (complete & load.appending) if self.appends else finished):
            m.d.sync += load.loading.eq(0)
            if config.kv_buffers == 2:
                m.d.sync += load.buffer.eq(~load.buffer)
        if self.appends:
            with m.If(load.begun):
                m.d.sync += [load.loading.eq(1), load.appending.eq(~load.started)]
                if config.kv_buffers == 2:  # back to the buffer that was loaded last
                    m.d.sync += load.buffer.eq(load.buffer ^ ~load.started)
            self._offer_growing(m, loaded, finished, complete & load.appending, load.buffer)
        else:
            wiring.connect(m, loaded.o, wiring.flipped(self.o_loaded))

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

    # --- rows as they come --------------------------------------------------------------------------------------

    def _elements(self, m: Module) -> tuple[Any, Any]:
        """The row of K, elements saturated, in its two parts, and the row of V: a register behind `row_load`."""
        params, payloads = self.params, Payloads(self.params)
        k_row = delayed_data(m, self.i_k.payload, params.pipeline.row_load, "k_loaded")
        v_row = delayed_data(m, self.i_v.payload, params.pipeline.row_load, "v_loaded")
        k_split = Signal(payloads.split_row, reset_less=True)
        values = Signal(payloads.element_row, reset_less=True)
        m.d.sync += values.eq(v_row)
        for d in range(params.config.head_dim):
            element = saturate_element(params, k_row[d])
            m.d.sync += k_split.high[d].eq(high_part(params, element))
            if params.widths.low_bits:
                m.d.sync += k_split.low[d].eq(low_part(params, element))
        return k_split, values

    def _writes(self, m: Module, load: "_Load", name: str) -> "_Writes":
        """Counts the rows of K, or of V, and says where they are written."""
        params, hops = self.params, self.params.pipeline
        port = getattr(self, f"i_{name}")
        row = Signal(params.widths.count_bits, name=f"{name}_row")
        left = Signal(params.widths.count_bits, name=f"{name}_left")
        more = load.more[name]
        arrived = port.valid & port.ready
        m.d.comb += port.ready.eq(more)
        with m.If(arrived):
            m.d.sync += [row.eq(row + 1), left.eq(left - 1), more.eq(left != 1)]
        with m.If(load.counts_start):
            m.d.sync += [row.eq(0), left.eq(load.n_rows), more.eq(load.n_rows != 0)]
        if self.appends:
            with m.If(load.append_starts):
                m.d.sync += [left.eq(1), more.eq(1)]
        # Registers of their own, of the pointer even several: the writes go to RAM all over the chip.
        stores = delayed(m, arrived & (row < params.config.max_keys), hops.row_load, f"{name}_stores")
        written = Signal(name=f"{name}_written")
        m.d.sync += written.eq(stores)
        pointer = pointer_of(params, load.buffer, row, params.widths.key_bits)
        pointers = fan_out(m, pointer, f"{name}_pointer", 1 + hops.row_load + hops.row_write)
        return _Writes(stores, written, pointers)

    # --- RAMs ---------------------------------------------------------------------------------------------------

    def _banks(self, m: Module, load: "_Load", k: "_Writes", high: Any) -> None:
        """High parts of K, row by row into the banks; what is on its way to them meets a row that is as late."""
        params, hops, port = self.params, self.params.pipeline, self.beat_port
        stores = k.stores
        for number in range(hops.bank_write):
            stores = delayed(m, stores, 1, f"k_bank_stores_{number}") if number else k.written
        rows = fan_out(m, Value.cast(high), "k_bank_row", hops.bank_write)
        request = port.request.payload
        read = pointer_of(params, request.buffer, request.address, params.widths.beat_bits)
        reads = fan_out(m, read, "k_bank_read_pointer", hops.bank_read)
        bank, beat = self._bank_and_beat(m, load.counts_start, stores)
        pointers = fan_out(m, pointer_of(params, load.buffer, beat, params.widths.beat_bits), "k_bank_pointer")
        for lane in range(params.config.keys_per_cycle):
            written = Signal(name=f"k_bank_{lane}_written")
            m.d.sync += written.eq(stores & ~(bank ^ lane).any())
            bank_rams(
                m, params, f"k_bank_{lane}",
                write=(written, pointers[lane % len(pointers)], rows[lane % len(rows)]),
                read=(reads[lane % len(reads)], port.response.payload[lane]),
                slices=hops.bank_read,
            )  # fmt: skip

    def _rows(self, m: Module, k: "_Writes", v: "_Writes", split: Any, values: Any) -> None:
        """Whole rows of K and V, into a RAM for every reader, or for two that share one."""
        params, slices = self.params, self.params.pipeline.row_write
        k_written, v_written = (delayed(m, one.written, slices, f"{name}_write") for name, one in (("k", k), ("v", v)))
        split = delayed_data(m, split, slices, "k_split")
        values = delayed_data(m, values, slices, "values")
        shares = params.widths.readers_per_ram
        for number, first in enumerate(range(0, self.readers, shares)):
            names = [numbered(name, self.readers)[first : first + shares] for name in ("key_port", "value_port")]
            key_ports, value_ports = ([getattr(self, name) for name in ports] for ports in names)
            suffix = f"_{number}" if self.readers > shares else ""
            row_ram(
                m, params, f"k_rows{suffix}", Payloads(params).split_row, params.config.max_keys,
                write=(k_written, k.pointers[number % len(k.pointers)], split),
                reads=[self._key_read(m, port, first + index) for index, port in enumerate(key_ports)],
                slices=params.pipeline.key_read,
            )  # fmt: skip
            value_rams(m, params, f"v_rows{suffix}", value_ports, v_written, v.pointers, values)

    def _key_read(self, m: Module, port: Any, number: int) -> tuple[Value, Any]:
        """Where a port reads whole rows of K, behind `key_read`, and where its data go."""
        request = port.request.payload
        pointer = pointer_of(self.params, request.buffer, request.address, self.params.widths.key_bits)
        late = delayed_data(m, pointer, self.params.pipeline.key_read, f"k_rows_{number}_read_pointer")
        return late, port.response.payload

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


class _Load:
    """The load that is under way."""

    def __init__(self, params: CoreParams) -> None:
        self.loading = Signal(name="loading")
        self.appending = Signal(name="appending")
        self.begun = Signal(name="begun")  # any load
        self.started = Signal(name="started")  # one that fills a buffer
        self.buffer = Signal(1, name="buffer")
        self.n_keys = Signal(params.widths.count_bits, name="n_keys")
        # The same, behind `load_start`, and the rows that it announces.
        self.counts_start: Value = self.started
        self.append_starts: Value = Const(0, 1)
        self.n_rows: Value = self.n_keys
        self.more = {name: Signal(name=f"{name}_more") for name in ("k", "v")}  # rows are left

    def rows_done(self) -> Value:
        return ~self.more["k"] & ~self.more["v"]


class _Writes(NamedTuple):
    """Writes of rows of K, or of V."""

    stores: Value
    """A row is stored, known a cycle ahead."""

    written: Signal
    """The same from a register."""

    pointers: list[Any]
    """Where it is written: fan-out copies."""
