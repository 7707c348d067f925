"""LATTE: low-precision, threshold-pruned attention as synthesizable Verilog.

Importing this package loads nothing heavy: ``latte_hw.config`` and ``latte_hw.params`` need neither Amaranth
nor NumPy.
"""

__version__ = "0.1.0"
