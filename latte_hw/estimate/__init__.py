"""What a core costs, without synthesis or simulation: cycles, operations, memory, LUTs and DSP blocks."""
