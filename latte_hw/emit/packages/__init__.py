"""What FPGA tools take the multi-head core in by: FuseSoC, Vivado, a lint file, a testbench, a manifest.

Text only: nothing here builds gateware, and none of the tools is needed to write it.
"""
