"""The dense baseline: plain int8 attention behind the ports of a LATTE head."""
