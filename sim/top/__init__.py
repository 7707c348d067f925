"""The bench of the multi-head AXI core, driven by the host driver."""
