"""Primitives that know no attention: streams, arithmetic, masks, dot products, AXI."""
