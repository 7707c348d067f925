"""Dot products of a stationary query with keys that pass: distributed arithmetic, and multipliers as its reference."""
