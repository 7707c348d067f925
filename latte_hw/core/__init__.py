"""One LATTE head core, a module per block; :mod:`latte_hw.core.dense` is the int8 baseline with the same ports."""
