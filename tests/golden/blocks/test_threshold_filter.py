"""The filter, against a key-by-key transcription of its rules in Python integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.blocks.threshold_filter import filter_tile, valid_keys, valid_mask
from latte_hw.config import LatteConfig
from latte_hw.params import HeadParams


def reference(e: list[int], valid: list[bool], tau: int, rule: str, lanes: int) -> tuple[list[bool], int]:
    """Kept keys and number of survivors of one row, beat by beat as the hardware scans."""

    def passes(value: int, best: int) -> bool:
        return best - value <= tau if rule == "differential" else value >= tau or value == best

    best: int | None = None
    survivors = 0
    for first in range(0, len(e), lanes):
        beat = range(first, min(first + lanes, len(e)))
        for j in beat:
            if valid[j] and (best is None or e[j] > best):
                best = e[j]
        survivors += sum(1 for j in beat if valid[j] and best is not None and passes(e[j], best))
    return [ok and best is not None and passes(value, best) for value, ok in zip(e, valid, strict=True)], survivors


@pytest.mark.parametrize("rule", ["differential", "static"])
@pytest.mark.parametrize("lanes", [1, 4, 16])
@given(seed=st.integers(0, 2**32), spread=st.sampled_from([1, 8, 4000]), tau=st.integers(0, 3000))
def test_equals_the_reference(rule: str, lanes: int, seed: int, spread: int, tau: int) -> None:
    params = HeadParams(LatteConfig(rule=rule, keys_per_cycle=lanes, max_keys=1024))
    rng = np.random.default_rng(seed)
    tau = tau % (2 * spread) - (spread if rule == "static" else 0)
    e = rng.integers(-spread, spread, (6, 32), endpoint=True)
    valid = valid_mask(rng.integers(0, 32, 6, endpoint=True), 32)
    keep, survivors = filter_tile(e.astype(np.float32), valid, tau, params)
    for row in range(6):
        expected = reference(e[row].tolist(), valid[row].tolist(), tau, rule, lanes)
        assert (keep[row].tolist(), int(survivors[row])) == expected


@pytest.mark.parametrize("rule", ["differential", "static"])
def test_early_drop_never_loses_a_kept_key(rule: str) -> None:
    params = HeadParams(LatteConfig(rule=rule))
    e = np.random.default_rng(0).integers(-500, 500, (50, 64)).astype(np.float32)
    keep, survivors = filter_tile(e, np.ones(e.shape, bool), 490 if rule == "static" else 100, params)
    kept = keep.sum(axis=1)
    assert (survivors >= kept).all()
    assert (survivors > kept).any()
    assert (kept > 0).all()


def test_a_row_without_valid_keys_keeps_nothing() -> None:
    for rule, tau in (("differential", 16383), ("static", -8192)):
        params = HeadParams(LatteConfig(rule=rule))
        keep, survivors = filter_tile(np.zeros((1, 8), np.float32), np.zeros((1, 8), bool), tau, params)
        assert not keep.any()
        assert survivors.tolist() == [0]


@pytest.mark.parametrize(
    ("n_queries", "n_keys", "offset", "counts"),
    [(3, 3, 0, [1, 2, 3]), (2, 5, 3, [4, 5]), (4, 2, -2, [0, 0, 1, 2]), (2, 3, 7, [3, 3]), (2, 3, -9, [0, 0])],
)
def test_causal_counts(n_queries: int, n_keys: int, offset: int, counts: list[int]) -> None:
    causal = HeadParams(LatteConfig(causal=True))
    assert valid_keys(n_queries, n_keys, offset, causal).tolist() == counts
    assert valid_keys(n_queries, n_keys, offset, HeadParams(LatteConfig())).tolist() == [n_keys] * n_queries
    expected = [[j <= i + offset for j in range(n_keys)] for i in range(n_queries)]
    assert valid_mask(np.array(counts), n_keys).tolist() == expected


def test_the_greatest_threshold_keeps_every_valid_key_at_every_size() -> None:
    for dim, bits in ((8, 2), (64, 4), (128, 8)):
        params = HeadParams(LatteConfig(head_dim=dim, msb_bits=bits))
        e = np.array([params.widths.estimate_range * 4], np.float32)
        keep, survivors = filter_tile(e, np.ones(e.shape, bool), params.widths.threshold_range[1], params)
        assert keep.all()
        assert survivors.tolist() == [8]
