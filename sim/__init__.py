"""Running the head core: cocotb on the emitted Verilog, or Amaranth's own simulator, compared with the golden model.

The layers, lowest first: :mod:`sim.layout` (payload bits), :mod:`sim.streams` (ready/valid models),
:mod:`sim.harness` (what the core is fed and in which order), the two benches that move a harness through clock cycles
(:mod:`sim.bench`, :mod:`sim.amaranth_bench`), :mod:`sim.collect` (arrays from what was recorded), :mod:`sim.builds`
and :mod:`sim.runner` (simulators) and :mod:`sim.simulate` (all of it in one call).
"""
