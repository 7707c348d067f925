"""Several head cores behind AXI: layers of heads, registers, counters."""
