"""Which pairs of query and key exist: as everywhere in LATTE, a query sees the first so many keys.

``counts`` (B, Nq) int64 is the number of keys that a query sees, 0 for a query that is padding. Causality and padding
on the right both have this form; a mask that does not (padding on the left, sliding windows) is refused.
"""

import torch

from latte_hw.config.errors import LatteError


def valid_counts(
    batch: int, n_queries: int, n_keys: int, causal_offset: int | None, device: torch.device | str = "cpu"
) -> torch.Tensor:
    """Counts (batch, n_queries) without padding; query i sees keys ``j <= i + causal_offset``, or all for None."""
    if causal_offset is None:
        return torch.full((batch, n_queries), n_keys, dtype=torch.int64, device=device)
    row = (torch.arange(n_queries, device=device) + (causal_offset + 1)).clamp(0, n_keys)
    return row.expand(batch, n_queries)


def counts_of_mask(mask: torch.Tensor) -> torch.Tensor:
    """Counts (B, Nq) of a model's attention mask, (B, 1, Nq, Nk): bool, or float with 0 where a pair is valid.

    Queries behind the last key that any query sees are padding: in a self-attention they are tokens, too.
    :class:`LatteError` when the valid keys of a query are not the first ones.
    """
    if mask.ndim != 4 or mask.shape[1] != 1:
        raise LatteError(f"an attention mask must have shape (batch, 1, queries, keys), not {tuple(mask.shape)}")
    valid = mask[:, 0] if mask.dtype == torch.bool else mask[:, 0] == 0  # (B, Nq, Nk)
    n_queries, n_keys = valid.shape[-2:]
    counts = valid.sum(-1)
    keys = torch.arange(n_keys, device=mask.device)
    if not bool((valid == (keys < counts[..., None])).all()):
        raise LatteError("LATTE attends to the first keys of a query only: pad on the right, and use no sliding window")
    position = torch.arange(n_queries, device=mask.device) + (n_keys - n_queries)
    return counts.masked_fill(position >= counts.amax(-1, keepdim=True), 0)


def real_keys(counts: torch.Tensor, n_keys: int) -> torch.Tensor:
    """Mask (B, n_keys) of keys that some query sees: the window without its padding."""
    return torch.arange(n_keys, device=counts.device) < counts.amax(-1, keepdim=True)


def tiles(counts: torch.Tensor, n_keys: int, heads: int) -> list[tuple[slice, int]]:
    """Queries in tiles that fit memory or cache, each with the number of keys that its queries see at most.

    A tile is (slice of queries, keys); tiles whose queries see nothing are left out.
    """
    batch, n_queries = counts.shape
    pairs = 2**25 if counts.is_cuda else 2**19
    step = max(1, pairs // max(1, batch * heads * n_keys))
    most = counts.amax(0).tolist()  # (Nq)
    found = []
    for start in range(0, n_queries, step):
        rows = slice(start, min(start + step, n_queries))
        seen = max(most[rows])
        if seen:
            found.append((rows, seen))
    return found
