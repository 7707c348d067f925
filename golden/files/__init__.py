"""Files that the golden model reads and writes: tensors, thresholds, and what both lie in."""
