"""Arrays of a layer, checked before anything is sent to a core."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from latte_hw.config.errors import LatteError
from latte_hw.config.numbers import integer
from latte_hw.config.top import Packets, TopConfig
from latte_hw.params import HeadParams

Array = NDArray[Any]
Int8 = NDArray[np.int8]


def check_layer(q: Array, k: Array, v: Array, config: TopConfig) -> tuple[Int8, Int8, Int8]:
    """q (H, Nq, D), k and v (G, Nk, D) as contiguous int8; :class:`LatteError` on what a core would not take."""
    params = HeadParams(config)
    q, k, v = (_rows(name, x, params) for name, x in (("q", q), ("k", k), ("v", v)))
    if k.shape != v.shape:
        raise LatteError(f"k and v must have the same shape, not {k.shape} and {v.shape}")
    if len(q) % len(k):
        raise LatteError(f"the number of query heads must be a multiple of the {len(k)} K/V heads, not {len(q)}")
    if len(q) > config.table_entries:
        raise LatteError(f"there must be at most {config.table_entries} query heads, not {len(q)}")
    return q, k, v


def _rows(name: str, rows: Array, params: HeadParams) -> Int8:
    config = params.config
    rows = np.asarray(rows)
    if rows.dtype != np.int8:
        raise LatteError(f"{name} must be int8, not {rows.dtype}")
    if rows.ndim != 3 or 0 in rows.shape or rows.shape[2] != config.head_dim:
        raise LatteError(f"{name} must have shape (heads, rows, {config.head_dim}), none of them 0, not {rows.shape}")
    if rows.shape[1] > config.max_keys:
        raise LatteError(f"{name} must have at most {config.max_keys} rows, not {rows.shape[1]}")
    limit = params.widths.greatest(name)
    if (greatest := int(rows.max())) > limit:
        raise LatteError(f"{name} must be at most {limit} for split={config.split.value}, but holds {greatest}")
    return np.ascontiguousarray(rows)


def packets_of(rows: Array, config: TopConfig) -> list[bytes]:
    """The packets that carry rows (heads, n, D), head-major: one per head, or one for the whole layer."""
    packets = rows[None] if config.packets is Packets.LAYER else rows
    return [packet.tobytes() for packet in packets]


def causal_offset(config: TopConfig, n_queries: int, n_keys: int, causal: bool | None, offset: int | None) -> int:
    """What the register causal_offset must hold. :class:`LatteError` for a causal layer on a core that is not."""
    if causal and not config.causal:
        raise LatteError("a causal layer needs a core with causal=true")
    if causal is False or not config.causal:
        if offset is not None:
            raise LatteError("causal_offset belongs to a causal layer")
        return config.max_keys  # every key is visible
    chosen = n_keys - n_queries if offset is None else integer("causal_offset", offset)
    return HeadParams(config).widths.limited_offset(chosen)
