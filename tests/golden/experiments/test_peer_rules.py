"""The peers' rules against straightforward NumPy, row by row."""

import numpy as np
import pytest
import torch

from golden.blocks.arith import split as golden_split
from golden.experiments.peer_rules import EstimatedProbability, LearnedAbsolute, MeanFilter, TopK
from golden.nn.exact import exact_float32
from golden.nn.rules import KeepRule, ScoreTile
from golden.nn.scores import Scorer
from latte_hw.config import LatteConfig
from latte_hw.params import HeadParams

PARAMS = HeadParams(LatteConfig(head_dim=16))
HEADS, GROUPS, TOKENS = 4, 2, 24
STEP = np.float32(0.004)


def tensors(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Queries (1, H, n, D) and keys (1, G, n, D) in int8 as `balanced` quantises."""
    rng = np.random.default_rng(seed)
    return rng.integers(-119, 120, (1, HEADS, TOKENS, 16)), rng.integers(-119, 120, (1, GROUPS, TOKENS, 16))


def tile(tau: float = 0.0) -> ScoreTile:
    """Every query of a causal window."""
    q, k = (torch.from_numpy(x).float() for x in tensors())
    scorer = Scorer(
        q=q, k=k, counts=torch.arange(1, TOKENS + 1)[None], logit_step=torch.full((1, HEADS), float(STEP)),
        tau=torch.full((HEADS,), tau), tau_int=torch.zeros(1, HEADS, dtype=torch.int64), params=PARAMS,
        estimate_bits=4,
    )  # fmt: skip
    with exact_float32(q.device):
        return scorer.tile(slice(0, TOKENS), TOKENS, scorer.score(slice(0, TOKENS), TOKENS))


def high(x: np.ndarray, bits: int) -> np.ndarray:
    """Most significant bits as golden cuts them, after the saturation that fewer bits need."""
    params = HeadParams(PARAMS.config.replace(msb_bits=bits))
    return golden_split(np.minimum(x, params.widths.quant_max), params)[0].astype(np.int64)


def scores(query_bits: int, key_bits: int) -> np.ndarray:
    """Whole-number scores (H, n, n) from so many bits."""
    q, k = tensors()
    return np.einsum("hnd,hmd->hnm", high(q[0], query_bits), np.repeat(high(k[0], key_bits), HEADS // GROUPS, axis=0))


def kept(rule: KeepRule, tau: float = 0.0) -> np.ndarray:
    with exact_float32(torch.device("cpu")):
        keep = rule.keep(tile(tau))
    assert keep.shape == (1, HEADS, TOKENS, TOKENS)
    assert keep.any(-1).all(), "a query without a kept key"
    assert not keep[0].triu(1).any(), "a key that the query cannot see"
    return keep[0].numpy()


def rows(values: np.ndarray) -> list[tuple[int, int, np.ndarray]]:
    """Every head and query with its valid values."""
    return [(h, i, values[h, i, : i + 1]) for h in range(HEADS) for i in range(TOKENS)]


@pytest.mark.parametrize("tau", [-10.0, 0.0, 10.0, 1e6])
def test_learned_absolute_keeps_scores_that_reach_the_threshold(tau: float) -> None:
    keep = kept(LearnedAbsolute(), tau)
    for h, i, score in rows(scores(8, 8)):
        expected = (score.astype(np.float32) * STEP >= np.float32(tau)) | (score == score.max())
        np.testing.assert_array_equal(keep[h, i, : i + 1], expected)


@pytest.mark.parametrize("threshold", [1e-4, 0.02, 0.2, 0.9])
def test_estimated_probability_keeps_what_softmax_of_four_bits_finds_likely(threshold: float) -> None:
    keep = kept(EstimatedProbability(), -float(np.log(threshold)))
    wrong = total = 0
    for h, i, score in rows(scores(4, 4)):
        weight = np.exp((score - score.max()) * float(STEP) * 256)
        probability = weight / weight.sum()
        clear = np.abs(np.log(probability / threshold)) > 1e-4  # rounding decides the others
        expected = (probability >= threshold) | (score == score.max())
        wrong += int(((keep[h, i, : i + 1] != expected) & clear).sum())
        total += int(clear.sum())
    assert wrong == 0
    assert total > 0.99 * HEADS * TOKENS * (TOKENS + 1) / 2


@pytest.mark.parametrize("parameters", [(0.0, 0.0), (0.3, 0.6), (-0.4, 0.2), (-0.5, -0.9), (0.99, 0.99)])
def test_mean_filter_follows_its_two_formulas_round_by_round(parameters: tuple[float, float]) -> None:
    rule = MeanFilter(parameters)
    keep = kept(rule)
    first, second = scores(4, 2), scores(4, 4)
    after_first = 0
    for h, i, _ in rows(first):
        left = np.ones(i + 1, bool)
        for number, (values, a) in enumerate(zip((first, second), parameters, strict=True)):
            row = values[h, i, : i + 1]
            greatest, least, mean = row[left].max(), row[left].min(), row[left].mean()
            limit = a * greatest + (1 - a) * mean if a >= 0 else -a * least + (1 + a) * mean
            left &= row >= np.float32(min(limit, greatest))
            after_first += int(left.sum()) if number == 0 else 0
        np.testing.assert_array_equal(keep[h, i, : i + 1], left)
    assert rule.pairs() == [HEADS * TOKENS * (TOKENS + 1) // 2, after_first]


@pytest.mark.parametrize("rule", [TopK(count=5.0), TopK(share=0.3), TopK(count=2.4, share=0.1), TopK()])
def test_top_k_keeps_the_greatest_exact_scores(rule: TopK) -> None:
    keep = kept(rule)
    total = 0
    for h, i, score in rows(scores(8, 8)):
        n = i + 1
        spread = n * 0.6180339887498949 % 1
        wanted = min(n, max(1, int(np.floor(rule.count + rule.share * n + spread))))
        expected = score >= np.sort(score)[::-1][wanted - 1]
        np.testing.assert_array_equal(keep[h, i, : i + 1], expected)
        total += wanted
    valid = torch.arange(1, TOKENS + 1)
    assert total == HEADS * int(rule.kept_of(valid).sum())


def test_fractions_of_a_key_are_spread_over_the_queries() -> None:
    valid = torch.arange(1, 1025)
    shares = [int(TopK(count=count).kept_of(valid).sum()) / int(valid.sum()) for count in (50.0, 50.5, 51.0)]
    assert shares[1] - shares[0] == pytest.approx((shares[2] - shares[0]) / 2, rel=0.02)


@pytest.mark.parametrize("rule", [LearnedAbsolute(), EstimatedProbability(), MeanFilter((0.2,), ((4, 4),)), TopK(3.0)])
def test_margins_are_positive_where_a_key_is_kept(rule: KeepRule) -> None:
    """But for the row's best, which is kept in any case, and for rounding at the border."""
    with exact_float32(torch.device("cpu")):
        made = tile(2.0)
        keep, margin = rule.keep(made), rule.margin(made)
    best = made.estimate_of(8)[0] == made.best(made.estimate_of(8)[0])
    best |= made.estimate == made.best(made.estimate)
    clear = made.valid & (margin.abs() > 1e-4) & ~best
    assert torch.equal((margin > 0) & clear, keep & clear)
