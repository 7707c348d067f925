"""Integer golden model of the LATTE accelerator, in NumPy: what "bit-exact" means.

One module per block, under the same name as the gateware's. Start at :func:`golden.attention.attention`.
Neither Amaranth nor PyTorch is imported.
"""
