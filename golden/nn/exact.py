"""Integer arithmetic through floating-point matrix products, kept exact on every device.

float32 holds every integer up to 2^24, float64 up to 2^53: a matrix product whose partial sums stay below that never
rounds, in whatever order it is summed, unless the device multiplies in a shorter format (TF32, bfloat16).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

FLOAT32_EXACT = 2**24
"""Every integer up to here is a float32. No sum of int8 products over a head (D <= 128) exceeds half of it."""


@contextmanager
def exact_float32(device: torch.device) -> Iterator[None]:
    """Within the block, float32 matrix products are float32: no TF32, no bfloat16 passes, no autocast.

    Checked on CUDA, where a process may have asked for TF32 in several ways: RuntimeError if it cannot be turned off.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        if device.type == "cuda" and torch.backends.cuda.matmul.allow_tf32:
            raise RuntimeError("TF32 is on, so float32 matrix products would not be exact")
        with torch.autocast(device_type=device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def grouped_matmul(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``a @ b`` where ``a`` has query heads, shape (B, H, n, d), and ``b`` K/V heads, (B, G, d, m): (B, H, n, m).

    Query head h meets K/V head ``h // (H / G)``. The heads of a group become rows of one product: nothing is repeated.
    """
    batch, heads, n, d = a.shape
    kv_heads = b.shape[1]
    rows = a.reshape(batch, kv_heads, heads // kv_heads * n, d)
    return torch.matmul(rows, b).reshape(batch, heads, n, b.shape[-1])
