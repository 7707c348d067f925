"""The register file: AXI4-Lite on one side, plain signals to and from the cores on the other."""

from typing import Any

from amaranth.hdl import Module, ResetInserter
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from latte_hw.lib.axi.lite import LiteAdapter, LiteSignature
from latte_hw.lib.streams import Valid
from latte_hw.params import HeadParams
from latte_hw.system.csr.model import RegisterMap
from latte_hw.system.csr.registers import Registers
from latte_hw.system.payloads import ERRORS, LAYER, table_write, totals


def core_side(params: HeadParams, registers: RegisterMap) -> dict[str, wiring.Member]:
    """Members between the registers and the cores; see :class:`RegisterFile`."""
    return {
        "o_layer": Out(LAYER),
        "o_start": Out(1),
        "o_append": Out(1),
        "o_soft_reset": Out(1),
        "o_table": Out(Valid(table_write(params, registers.block("head_table").count))),
        "i_busy": In(1),
        "i_done": In(1),
        "i_checking": In(1),
        "i_swapped": In(1),
        "i_errors": In(ERRORS),
        "i_counters": In(totals(registers.block("core").count)),
        "o_irq": Out(1),
    }


class RegisterFile(wiring.Component):
    """Every register of `registers`, made by :func:`latte_hw.system.csr.table.register_map`, behind AXI4-Lite.

    Members
    -------
    s_axil
        AXI4-Lite; see :class:`latte_hw.lib.axi.lite.LiteAdapter` for its responses.
    o_layer
        The next layer as software wrote it, unchecked.
    o_start, o_append
        High for one cycle, never both. `o_layer` holds from before that cycle until `i_busy` has fallen.
    o_soft_reset
        High for one cycle; the registers return to their state after reset in the cycle after it.
    o_table
        Writes to the idle bank of the cores' per-head table; must be taken.
    i_checking
        High from the cycle after `o_start` until it is accepted or refused: there are no writes to the table meanwhile.
    i_swapped
        High in the last cycle of `i_checking` if the banks change places behind it; then the bank that is idle is
        written anew.
    i_busy
        High from the cycle after an accepted `o_start` or `o_append`, at the latest, to the end of its work.
    i_done
        High for one cycle at the end of that work.
    i_errors
        Events, each high for one cycle. What refuses a command raises one of them, and no `i_done`.
    i_counters
        Running totals. A snapshot copies all of them in the same cycle.
    o_irq
        High while a cause is both set and enabled; a register.
    """

    def __init__(self, params: HeadParams, registers: RegisterMap) -> None:
        self.params = params
        self.registers = registers
        super().__init__({"s_axil": In(LiteSignature(registers.address_bits)), **core_side(params, registers)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.lite = lite = LiteAdapter(self.registers.address_bits)
        # A soft reset leaves the adapter alone, so that the write that asked for it gets its response.
        state = Registers(self.params, self.registers, core_side(self.params, self.registers))
        m.submodules.state = ResetInserter(self.o_soft_reset)(state)
        wiring.connect(m, wiring.flipped(self.s_axil), lite.s_axil)
        wiring.connect(m, lite.o_access, state.i_access)
        for name, member in core_side(self.params, self.registers).items():
            outer, inner = getattr(self, name), getattr(state, name)
            if not member.is_port:
                wiring.connect(m, inner, wiring.flipped(outer))
            elif member.flow is Out:
                m.d.comb += outer.eq(inner)
            else:
                m.d.comb += inner.eq(outer)
        return m
