"""The whole accelerator as an FPGA design takes it in: AXI4-Stream data, AXI4-Lite registers, an interrupt."""

from typing import Any

from amaranth.hdl import ClockDomain, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from latte_hw.config.top import Reset, TopConfig
from latte_hw.lib.axi.lite import LiteSignature
from latte_hw.lib.axi.stream import AxiStream
from latte_hw.params import HeadParams
from latte_hw.system.csr.register_file import RegisterFile
from latte_hw.system.csr.table import top_registers
from latte_hw.system.multihead import MultiHead


class LatteTop(wiring.Component):
    """Registers and head cores. Block diagram::

        s_axil ──> registers ──────────> irq
                    │     ^
                    v     │
        s_axis_q ─> ┌───────────┐
        s_axis_k ─> │ multihead │ ─> m_axis_o
        s_axis_v ─> └───────────┘

    Members
    -------
    s_axis_q, s_axis_k, s_axis_v, m_axis_o
        AXI4-Stream; see :class:`latte_hw.system.multihead.MultiHead` for the order of the packets and
        :mod:`latte_hw.lib.axi.rows` for what is in them.
    s_axil
        AXI4-Lite; `docs/registers.md` has the map.
    irq
        Level, active high.
    aresetn
        Only if the configuration asks for it: the synchronous reset, active low. Otherwise it is `rst`, active high.

    `clk` and `rst` belong to the clock domain, :attr:`clock`, whose signals become ports of the Verilog.
    """

    def __init__(self, config: TopConfig) -> None:
        self.config = config
        self.registers = top_registers(config)
        self.clock = ClockDomain("sync")
        stream = AxiStream(config.stream_bits)
        super().__init__(
            ({"aresetn": In(1)} if config.reset is Reset.ARESETN else {})
            | {
                "s_axis_q": In(stream),
                "s_axis_k": In(stream),
                "s_axis_v": In(stream),
                "m_axis_o": Out(stream),
                "s_axil": In(LiteSignature(self.registers.address_bits)),
                "irq": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains += self.clock
        if self.config.reset is Reset.ARESETN:
            m.d.comb += self.clock.rst.eq(~self.aresetn)
        m.submodules.registers = registers = RegisterFile(HeadParams(self.config), self.registers)
        m.submodules.multihead = cores = MultiHead(self.config)
        for name in ("s_axis_q", "s_axis_k", "s_axis_v", "m_axis_o"):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(cores, name))
        wiring.connect(m, wiring.flipped(self.s_axil), registers.s_axil)
        wiring.connect(m, registers.o_table, cores.i_table)
        m.d.comb += [
            self.irq.eq(registers.o_irq),
            cores.i_layer.eq(registers.o_layer),
            cores.i_start.eq(registers.o_start),
            cores.i_append.eq(registers.o_append),
            cores.i_soft_reset.eq(registers.o_soft_reset),
            registers.i_busy.eq(cores.o_busy),
            registers.i_done.eq(cores.o_done),
            registers.i_checking.eq(cores.o_checking),
            registers.i_swapped.eq(cores.o_swapped),
            registers.i_errors.eq(cores.o_errors),
            registers.i_counters.eq(cores.o_counters),
        ]
        return m
