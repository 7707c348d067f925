"""The PyTorch twin of the golden model: bit-equal integer attention, and a differentiable one to train thresholds."""
