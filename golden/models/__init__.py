"""Real models: loading them, taking queries, keys and values out of them, and writing those as tensor files.

The one part of the golden side, with :mod:`golden.nn` and :mod:`golden.train`, that may import PyTorch.
"""
