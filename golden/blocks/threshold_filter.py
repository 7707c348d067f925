"""Which keys a query keeps: those whose estimate is close enough to the best of its row.

With ``best`` the greatest estimate over valid keys and τ the head's threshold register, a valid key is kept iff

* `differential`: ``best - e <= τ``, that is ``e >= best - τ``;
* `static`: ``e >= τ or e == best``, that is ``e >= min(τ, best)``: a row with a valid key is never empty.

The hardware scans beats of P keys and drops a key early, by the same rule with the best *so far*. Since that can
only be less than the final best, it never drops a key too many; the number of survivors is a counter.
"""

import numpy as np
from numpy.typing import NDArray

from golden.blocks.arith import Array, Float, Int64
from latte_hw.config import Rule
from latte_hw.params import HeadParams

Mask = NDArray[np.bool_]


def valid_keys(n_queries: int, n_keys: int, causal_offset: int, params: HeadParams) -> Int64:
    """Number of valid keys of each query, shape (n_queries,); valid keys are always the first ones.

    Without `causal` every key is valid. With it, query i sees keys ``j <= i + causal_offset``; a negative offset
    leaves the first queries without any.
    """
    if not params.config.causal:
        return np.full(n_queries, n_keys, np.int64)
    return np.clip(np.arange(n_queries, dtype=np.int64) + causal_offset + 1, 0, n_keys)


def valid_mask(counts: Array, n_keys: int) -> Mask:
    """Mask of shape (n_queries, n_keys) that is true for the first ``counts[i]`` keys of query i."""
    mask: Mask = np.arange(n_keys) < np.asarray(counts)[:, None]
    return mask


def filter_tile(estimate: Float, valid: Mask, tau: int, params: HeadParams) -> tuple[Mask, Int64]:
    """Mask of kept keys, shape (n_queries, n_keys), and number of survivors of each query, shape (n_queries,).

    ``estimate`` and ``valid`` have shape (n_queries, n_keys); n_keys must be a multiple of ``keys_per_cycle`` (see
    :func:`golden.blocks.kv_store.pad_keys`). ``tau`` is the threshold register. For the early drop a key of beat b is
    compared with the best of beats 0 to b.
    """
    masked = np.where(valid, estimate, estimate.dtype.type(-np.inf))
    beats = masked.reshape(len(masked), -1, params.config.keys_per_cycle)  # (Nq, beats, P)
    running_limit = _limit(np.maximum.accumulate(_best_of_beat(beats), axis=1), tau, params)  # (Nq, beats)
    keep: Mask = masked >= running_limit[:, -1:]  # the last beat has seen every key
    survives = beats >= running_limit[:, :, None]
    return keep, np.count_nonzero(survives.reshape(keep.shape), axis=1).astype(np.int64)


def _best_of_beat(beats: Float) -> Float:
    """Maximum over the last axis: halving it keeps every step vectorised."""
    while (lanes := beats.shape[-1]) > 1:
        halved = np.maximum(beats[..., : lanes // 2], beats[..., lanes // 2 : lanes // 2 * 2])
        if lanes % 2:
            halved[..., 0] = np.maximum(halved[..., 0], beats[..., -1])
        beats = halved
    return beats[..., 0]


def _limit(best: Float, tau: int, params: HeadParams) -> Float:
    """Least estimate that is kept beside ``best``; +infinity where there is no valid key (best is -infinity)."""
    limit = best - tau if params.config.rule is Rule.DIFFERENTIAL else np.minimum(best, tau)
    return np.where(np.isneginf(best), best.dtype.type(np.inf), limit)
