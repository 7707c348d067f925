"""Running the head core, compared with the golden model: cocotb or the native loop on the emitted Verilog, or Amaranth.

The layers, lowest first: :mod:`sim.lib.layout` (payload bits), :mod:`sim.lib.streams` (ready/valid models),
:mod:`sim.head.harness` (what the core is fed and in which order), what moves a harness through clock cycles
(:mod:`sim.head.bench`, :mod:`sim.head.amaranth_bench`, :mod:`sim.simulators.native`), :mod:`sim.head.collect` (arrays
from what was recorded), :mod:`sim.simulators.builds` and :mod:`sim.simulators.runner` (simulators) and
:mod:`sim.simulate` (all of it in one call).
"""
