"""Out-of-context wrapper: any component behind four pins, so that neither pins nor unused logic distort its figures."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from latte_hw.emit.text import verilog_text
from latte_hw.params import ceil_div

TOP = "latte_synth"
XOR_INPUTS = 4


class Harness(wiring.Component):
    """A component between a shift register and an XOR tree.

    Every input bit is one bit of a shift register that `i` feeds; every output bit is registered, and a tree of
    registered 4-input XORs folds them into `o`. So nothing of the component can be optimised away, every path of its
    own begins and ends in a register, and a path of the wrapper is at most one LUT long. The reset goes straight from
    the pin to the component, so that its distribution is not timed.

    Parameters
    ----------
    subject
        The component; its members may be interfaces with members in both directions.
    role
        Its name in the hierarchy.

    Members
    -------
    i, o
        One bit each; what they mean is of no interest.
    """

    def __init__(self, subject: Any, role: str) -> None:
        self.subject = subject
        self.role = role
        super().__init__({"i": In(1), "o": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules[self.role] = self.subject

        ports = [(member, Value.cast(port)) for _, member, port in self.subject.signature.flatten(self.subject)]
        inputs = [port for member, port in ports if member.flow == wiring.In]
        outputs = Cat(port for member, port in ports if member.flow == wiring.Out)

        shifted = Signal(sum(map(len, inputs)), reset_less=True)
        m.d.sync += shifted.eq(Cat(self.i, shifted))
        start = 0
        for port in inputs:
            m.d.comb += port.eq(shifted[start : start + len(port)])
            start += len(port)

        level = Signal(len(outputs), reset_less=True, name="outputs")
        m.d.sync += level.eq(outputs)
        depth = 0
        while len(level) > 1:
            folded = Signal(ceil_div(len(level), XOR_INPUTS), reset_less=True, name=f"folded_{depth}")
            for bit in range(len(folded)):
                m.d.sync += folded[bit].eq(level[XOR_INPUTS * bit : XOR_INPUTS * (bit + 1)].xor())
            level, depth = folded, depth + 1
        m.d.comb += self.o.eq(level)
        return m


def to_verilog(subject: Any, role: str) -> str:
    """Verilog of the component in its wrapper; the top module is `latte_synth`, the component is `latte_synth.role`."""
    harness = Harness(subject, role)
    return verilog_text(harness, TOP, [harness.i, harness.o])
