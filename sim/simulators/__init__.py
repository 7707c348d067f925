"""Simulators of the emitted Verilog: their builds, how they run, netlists."""
