"""The dense golden model against a transcription of int8 attention that knows nothing of thresholds or nibbles."""

from dataclasses import replace
from fractions import Fraction
from math import exp, floor, log2

import numpy as np
import pytest

from golden.attention import attention
from golden.dense import dense_attention
from golden.files.stimuli import CORNERS, random_trace
from golden.files.tensors import TensorFile, from_arrays, load
from latte_hw.config import LatteConfig
from latte_hw.config.presets import PRESETS
from latte_hw.params import EXP_GUARD_BITS, HeadParams

TINY = PRESETS["tiny"]
STAGES = ("keep", "score", "prob", "out", "counters")


def row(q: list[int], k: list[list[int]], v: list[list[int]], scale: tuple[int, int], config: LatteConfig) -> tuple:
    """Scores, weights and output of one query over the keys that it sees, in Python integers."""
    params = HeadParams(config)
    mantissa, shift = scale
    f = params.exp_fraction_bits
    scores = [sum(a * b for a, b in zip(q, key, strict=True)) for key in k]
    remainder, probs = 2 ** (EXP_GUARD_BITS - 1), []
    for score in scores:
        t = min(((((max(scores) - score) * mantissa) >> shift) + 1) >> 1, 2**params.exp_bits - 1)
        remainder += params.exp_table[t % 2**f] >> (t >> f)
        probs.append(remainder >> EXP_GUARD_BITS)
        remainder %= 2**EXP_GUARD_BITS
    sums = [sum(p * value[d] for p, value in zip(probs, v, strict=True)) for d in range(len(q))]
    half = Fraction(1, 2)
    return scores, probs, [floor(Fraction(s << config.out_fraction_bits, sum(probs)) + half) for s in sums]


def reference(t: TensorFile, config: LatteConfig) -> dict[str, np.ndarray]:
    heads, n_queries, dim = t.q8.shape
    pairs = (heads, n_queries, t.k8.shape[1])
    keep = np.zeros(pairs, bool)
    score, prob = np.zeros(pairs, np.int64), np.zeros(pairs, np.int64)
    out = np.zeros((heads, n_queries, dim), np.int64)
    for h in range(heads):
        k, v = (x[h // t.group].tolist() for x in (t.k8, t.v8))
        for i in range(n_queries):
            seen = min(max(i + t.causal_offset + 1, 0), len(k)) if config.causal else len(k)
            if seen:
                scale = tuple(t.softmax_scale[h].tolist())
                results = row(t.q8[h, i].tolist(), k[:seen], v[:seen], scale, config)
                keep[h, i, :seen] = True
                score[h, i, :seen], prob[h, i, :seen], out[h, i] = results
    return {
        "keep": keep, "score": score, "prob": prob, "out": out, "counters": np.repeat(keep.sum((1, 2))[:, None], 3, 1)
    }  # fmt: skip


def check(tensors: TensorFile, config: LatteConfig) -> dict[str, np.ndarray]:
    got = dense_attention(tensors, config)
    for name, expected in reference(tensors, config).items():
        np.testing.assert_array_equal(got[name], expected, err_msg=name)
    return got


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("split", ["balanced", "truncate"])
@pytest.mark.parametrize("changes", [{}, {"rule": "static", "msb_bits": 3}, {"prob_bits": 16, "out_fraction_bits": 5}])
def test_random_heads(causal: bool, split: str, changes: dict[str, object]) -> None:
    config = TINY.replace(causal=causal, split=split, **changes)
    check(from_arrays(random_trace(config, 7, 4, 2, 9, 11), config), config)


@pytest.mark.parametrize("name", CORNERS)
def test_corners(name: str) -> None:
    check(from_arrays(CORNERS[name](TINY, 5), TINY), TINY)


def test_rows_without_a_key_are_zero() -> None:
    tensors = from_arrays(random_trace(TINY, 2, 1, 1, 5, 6) | {"causal_offset": np.array(-3)}, TINY)
    got = check(tensors, TINY)
    assert got["counters"].tolist() == [[0 + 0 + 0 + 1 + 2] * 3]
    assert not got["out"][0, :3].any()


@pytest.mark.parametrize("msb_bits", [2, 4, 8])
def test_the_way_of_estimating_makes_no_difference(msb_bits: int) -> None:
    tensors = from_arrays(random_trace(TINY, 3, 2, 1, 8, 13), TINY)
    expected = dense_attention(tensors, TINY)
    got = dense_attention(tensors, TINY.replace(msb_bits=msb_bits, split="truncate", keys_per_cycle=1))
    for name in STAGES:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


def test_thresholds_make_no_difference_and_are_reported_as_given() -> None:
    tensors = from_arrays(random_trace(TINY, 3, 2, 1, 8, 13), TINY)
    pruned = attention(tensors, TINY.replace(reuse="exact"))
    assert pruned["counters"][:, 2].sum() < pruned["counters"][:, 0].sum()
    expected, got = dense_attention(tensors, TINY), dense_attention(replace(tensors, tau_int=tensors.tau_int * 0), TINY)
    for name in STAGES:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)
    np.testing.assert_array_equal(expected["tau_int"], tensors.tau_int)


def test_it_holds_what_attention_holds_but_estimates() -> None:
    tensors = from_arrays(random_trace(TINY, 0, 4, 2, 5, 6), TINY)
    kinds = [
        {name: (x.dtype, x.shape) for name, x in model(tensors, TINY).items()} for model in (attention, dense_attention)
    ]
    del kinds[0]["estimate"]
    assert kinds[0] == kinds[1]


def test_outputs_are_close_to_real_attention() -> None:
    """Against float64 softmax of the dequantised trace of a real model, in V's int8 steps."""
    config = PRESETS["smollm2-135m"]
    tensors = load("traces/smollm2-135m.npz", config)
    got = dense_attention(tensors, config)["out"]
    for head in range(3):
        steps = float(tensors.scale_q[head] * tensors.scale_k[head // tensors.group]) / 8.0
        q, k, v = (x.astype(np.float64) for x in (tensors.q8[head], *(t[head // 3] for t in (tensors.k8, tensors.v8))))
        weights = np.exp2((q @ k.T) * steps * log2(exp(1))) * np.tri(len(q))
        expected = weights @ v / weights.sum(axis=1, keepdims=True)
        errors = np.abs(got[head] - expected)
        assert errors.max() <= 1.25
        assert errors.mean() <= 0.27


def test_the_oracle_is_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dense model with the paper's approximate scores would be noticed."""
    tensors = from_arrays(random_trace(TINY, 7, 1, 1, 9, 11), TINY)
    from golden import dense

    monkeypatch.setattr(dense, "Reuse", type("Reuse", (), {"EXACT": "three_term"}))
    with pytest.raises(AssertionError, match="score"):
        check(tensors, TINY)
