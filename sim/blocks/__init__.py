"""Benches of single blocks in Amaranth's simulator."""
