"""From a configuration to files: Verilog, its description, registers, packages."""
