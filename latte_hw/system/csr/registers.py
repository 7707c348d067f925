"""What lies behind the register file's bus: storage, commands, events and the counters' snapshot."""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from latte_hw.lib.axi.lite import AccessSignature
from latte_hw.params import HeadParams
from latte_hw.system.csr.head_table import HeadTable
from latte_hw.system.csr.model import WORD_BYTES, Access, Placed, Register, RegisterMap
from latte_hw.system.csr.names import TABLE_BASE
from latte_hw.system.events import BUSY_WRITE, CORE_COUNTERS, COUNTERS

WHILE_IDLE = (Access.CONFIG, Access.COMMAND)
"""Fields whose writing a busy core refuses."""

Values = Mapping[tuple[str, str], Any]
"""What is stored in, or read of, each field, by the path of its register and its own name."""


class Registers(wiring.Component):
    """Registers of :class:`latte_hw.system.csr.register_file.RegisterFile` behind a plain bus, with its members
    `core_side`.

    What a field does follows from its :class:`~latte_hw.system.csr.model.Access`, what it stands for from its name.

    Members
    -------
    i_access
        Accesses from the bus. The address counts words.
    o_layer, o_start, o_append, o_soft_reset, o_table, o_irq
    i_busy, i_done, i_checking, i_swapped, i_errors, i_counters
        See :class:`latte_hw.system.csr.register_file.RegisterFile`.

    An access takes 1 cycle, one to the table 2, or more while the table is held or written anew.
    """

    def __init__(self, params: HeadParams, registers: RegisterMap, core_side: Mapping[str, wiring.Member]) -> None:
        self.params = params
        self.registers = registers
        self.outside_table: list[Placed] = [placed for placed in registers.placed() if placed.block != "head_table"]
        super().__init__({"i_access": In(AccessSignature(registers.address_bits - 2)), **core_side})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.table = table = HeadTable(self.params, self.registers.block("head_table").count)
        wiring.connect(m, table.o_table, wiring.flipped(self.o_table))

        values: dict[tuple[str, str], Any] = {}
        for placed in self.outside_table:
            for field in placed.register.fields:
                name = f"{placed.block}{placed.number}_" * bool(placed.block) + f"{placed.register.name}_{field.name}"
                stored = Signal(field.width, name=name, init=field.reset)
                values[placed.path, field.name] = (
                    Const(field.reset, field.width) if field.access is Access.CONSTANT else stored
                )
        writes = self._bus(m, values, table)
        busy = self._commands(m, values, table)
        refused = self._writes(m, values, writes, busy)
        self._events(m, values, writes, refused)
        self._layer(m, values)
        self._snapshot(m, values)
        return m

    def _bus(self, m: Module, values: Values, table: HeadTable) -> dict[str, Signal]:
        """Answers accesses. Gives a signal for each register that says that it is written in this cycle."""
        access = self.i_access
        done = Signal()
        answer = Signal(access.data.shape())
        error = Signal()
        asked = access.valid & ~done
        m.d.comb += [access.done.eq(done), access.data.eq(answer), access.error.eq(error)]
        m.d.sync += [done.eq(asked), answer.eq(0), error.eq(0)]

        window, words = TABLE_BASE // WORD_BYTES, 2 * self.registers.block("head_table").count
        in_table = (access.address >= window) & (access.address < window + words)
        m.d.comb += [
            table.i_access.valid.eq(asked & in_table),
            table.i_access.write.eq(access.write),
            table.i_access.address.eq(access.address),  # the window starts at a multiple of its size
            table.i_access.write_data.eq(access.write_data),
        ]
        with m.Switch(access.address):
            for placed in self.outside_table:
                with m.Case(placed.address // WORD_BYTES):
                    m.d.sync += answer.eq(self._word(placed.register, placed.path, values))
                    if not placed.register.writable:
                        m.d.sync += error.eq(access.write)
            with m.Default():
                m.d.sync += [answer.eq(0), error.eq(1)]
        with m.If(in_table):
            m.d.sync += [done.eq(table.i_access.done), answer.eq(table.i_access.data), error.eq(0)]

        writes = {}
        for placed in self.outside_table:
            if placed.register.writable:
                writes[placed.path] = written = Signal(name=f"writes_{placed.path}")
                here = access.address.matches(placed.address // WORD_BYTES)
                m.d.comb += written.eq(asked & access.write & here)
        return writes

    @staticmethod
    def _word(register: Register, path: str, values: Values) -> Value:
        readable = (field for field in register.fields if field.access.readable)
        return reduce(or_, (values[path, field.name] << field.lsb for field in readable), Const(0, 1))

    def _commands(self, m: Module, values: Values, table: HeadTable) -> Value:
        """Issues START and APPEND once the idle bank is written anew; gives whether the core is busy."""
        start, append, done = values["control", "start"], values["control", "append"], values["status", "done"]
        pending = start | append
        with m.If(pending & table.o_fresh):
            m.d.comb += [self.o_start.eq(start), self.o_append.eq(append & ~start)]
            m.d.sync += [start.eq(0), append.eq(0)]
        busy = self.i_busy | pending
        m.d.comb += [
            table.i_swapped.eq(self.i_swapped),
            table.i_hold.eq(pending | self.i_checking),  # what is written after a START is not for its layer
            self.o_layer.keep.eq(values["control", "keep"]),
            self.o_soft_reset.eq(values["control", "soft_reset"]),
            values["status", "busy"].eq(busy),
            values["status", "idle"].eq(~busy),
        ]
        with m.If(pending):
            m.d.sync += done.eq(0)
        with m.Elif(self.i_done):
            m.d.sync += done.eq(1)
        return busy

    def _writes(self, m: Module, values: Values, writes: Mapping[str, Signal], busy: Value) -> Value:
        """Stores what is written; gives whether a write is refused in this cycle."""
        refused = Const(0, 1)
        for path, written in writes.items():
            register = self.registers.register(path)
            configures_only = all(field.access is Access.CONFIG for field in register.fields)
            for field in register.fields:
                value, bits = values[path, field.name], self.i_access.write_data[field.lsb : field.lsb + field.width]
                if field.access is Access.PULSE:
                    m.d.sync += value.eq(Mux(written, bits, 0))
                if field.access is Access.LEVEL:
                    with m.If(written):
                        m.d.sync += value.eq(bits)
                if field.access in WHILE_IDLE:
                    with m.If(written & ~busy):
                        m.d.sync += value.eq(bits)
                    # A write that is for the register's other bits leaves this one as it is.
                    asks = bits.any() if field.access is Access.COMMAND else (bits != value) | configures_only
                    refused = refused | (written & busy & asks)
        return refused

    def _events(self, m: Module, values: Values, writes: Mapping[str, Signal], refused: Value) -> None:
        """Sticky bits: an event in the cycle in which its bit is cleared is not lost."""
        errors = {name: self.i_errors[name] for name in self.i_errors.shape().members}
        errors[BUSY_WRITE] = errors[BUSY_WRITE] | refused
        causes = {"done": self.i_done, "error": reduce(or_, errors.values())}
        raised: Any = Const(0, 1)
        for path, events in (("errors", errors), ("irq_status", causes)):
            for field in self.registers.register(path).fields:
                value, clears = values[path, field.name], writes[path] & self.i_access.write_data[field.lsb]
                m.d.sync += value.eq((value & ~clears) | events[field.name])
        for name in causes:
            raised = raised | (values["irq_status", name] & values["irq_enable", name])
        m.d.sync += self.o_irq.eq(raised)

    def _layer(self, m: Module, values: Values) -> None:
        layer = self.o_layer
        m.d.comb += [
            layer.heads.eq(values["layer_heads", "heads"]),
            layer.group.eq(values["layer_heads", "group_size"]),
            layer.n_queries.eq(values["layer_lengths", "n_queries"]),
            layer.n_keys.eq(values["layer_lengths", "n_keys"]),
            layer.causal_offset.eq(values["causal_offset", "offset"]),
        ]

    def _snapshot(self, m: Module, values: Values) -> None:
        totals = {name: self.i_counters[name] for name in COUNTERS}
        for core in range(self.registers.block("core").count):
            totals |= {f"core[{core}].{name}": self.i_counters.cores[core][name] for name in CORE_COUNTERS}
        with m.If(values["control", "snapshot"]):
            for path, total in totals.items():
                m.d.sync += [values[f"{path}_lo", "count"].eq(total[:32]), values[f"{path}_hi", "count"].eq(total[32:])]
