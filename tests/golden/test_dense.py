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
from latte_hw.config import DenseConfig
from latte_hw.config.errors import LatteError
from latte_hw.config.presets import PRESETS
from latte_hw.params import EXP_GUARD_BITS
from latte_hw.params.dense import DenseParams

LATTE_TINY = PRESETS["tiny"]
TINY = DenseConfig.of(LATTE_TINY)
STAGES = ("keep", "score", "prob", "out", "counters")


def row(q: list[int], k: list[list[int]], v: list[list[int]], scale: tuple[int, int], config: DenseConfig) -> tuple:
    """Scores, weights and output of one query over the keys that it sees, in Python integers."""
    params = DenseParams.of(config)
    mantissa, shift = scale
    f = params.widths.exp_fraction_bits
    scores = [sum(a * b for a, b in zip(q, key, strict=True)) for key in k]
    remainder, probs = 2 ** (EXP_GUARD_BITS - 1), []
    for score in scores:
        t = min(((((max(scores) - score) * mantissa) >> shift) + 1) >> 1, 2**params.widths.exp_bits - 1)
        remainder += params.widths.exp_table[t % 2**f] >> (t >> f)
        probs.append(remainder >> EXP_GUARD_BITS)
        remainder %= 2**EXP_GUARD_BITS
    sums = [sum(p * value[d] for p, value in zip(probs, v, strict=True)) for d in range(len(q))]
    half = Fraction(1, 2)
    return scores, probs, [floor(Fraction(s << config.out_fraction_bits, sum(probs)) + half) for s in sums]


def reference(t: TensorFile, config: DenseConfig) -> dict[str, np.ndarray]:
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


def check(tensors: TensorFile, config: DenseConfig) -> dict[str, np.ndarray]:
    got = dense_attention(tensors, config)
    for name, expected in reference(tensors, config).items():
        np.testing.assert_array_equal(got[name], expected, err_msg=name)
    return got


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("changes", [{}, {"queries_per_scan": 3}, {"prob_bits": 16, "out_fraction_bits": 5}])
def test_random_heads(causal: bool, changes: dict[str, object]) -> None:
    config = TINY.replace(causal=causal, **changes)
    check(from_arrays(random_trace(config, 7, 4, 2, 9, 11), config), config)


@pytest.mark.parametrize("name", CORNERS)
def test_corners(name: str) -> None:
    check(from_arrays(CORNERS[name](TINY, 5), TINY), TINY)


def test_rows_without_a_key_are_zero() -> None:
    tensors = from_arrays(random_trace(TINY, 2, 1, 1, 5, 6) | {"causal_offset": np.array(-3)}, TINY)
    got = check(tensors, TINY)
    assert got["counters"].tolist() == [[0 + 0 + 0 + 1 + 2] * 3]
    assert not got["out"][0, :3].any()


def test_float_tensors_become_the_integers_of_a_latte_core_and_int8_has_its_whole_range() -> None:
    trace = random_trace(LATTE_TINY, 3, 2, 1, 8, 13)
    ours, theirs = from_arrays(trace, TINY), from_arrays(trace, LATTE_TINY)
    for name in ("q8", "k8", "v8", "scale_q", "scale_k", "scale_v", "softmax_scale"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    assert CORNERS["saturating"](TINY, 5)["q"].max() == 127
    with pytest.raises(LatteError, match="127"):
        from_arrays(CORNERS["saturating"](TINY, 5), LATTE_TINY)


def test_the_scores_are_those_of_the_exact_latte_model() -> None:
    tensors = from_arrays(random_trace(LATTE_TINY, 3, 2, 1, 8, 13), LATTE_TINY)  # elements up to 119
    exact = attention(tensors, LATTE_TINY.replace(reuse="exact"))
    got = dense_attention(tensors, TINY)
    np.testing.assert_array_equal(got["score"][exact["keep"]], exact["score"][exact["keep"]])


def test_thresholds_make_no_difference() -> None:
    tensors = from_arrays(random_trace(LATTE_TINY, 3, 2, 1, 8, 13), LATTE_TINY)
    pruned = attention(tensors, LATTE_TINY.replace(reuse="exact"))
    assert pruned["counters"][:, 2].sum() < pruned["counters"][:, 0].sum()
    expected, got = dense_attention(tensors, TINY), dense_attention(replace(tensors, tau_int=tensors.tau_int * 0), TINY)
    for name in STAGES:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)
    trace = random_trace(LATTE_TINY, 3, 2, 1, 8, 13)
    assert not from_arrays(trace, TINY).tau_int.any()
    without = {name: x for name, x in trace.items() if name != "tau"}
    np.testing.assert_array_equal(from_arrays(without, TINY).q8, from_arrays(trace, TINY).q8)


def test_it_holds_what_attention_holds_but_estimates() -> None:
    tensors = from_arrays(random_trace(LATTE_TINY, 0, 4, 2, 5, 6), LATTE_TINY)
    results = attention(tensors, LATTE_TINY), dense_attention(tensors, TINY)
    kinds = [{name: (x.dtype, x.shape) for name, x in one.items()} for one in results]
    del kinds[0]["estimate"]
    assert kinds[0] == kinds[1]


def test_outputs_are_close_to_real_attention() -> None:
    """Against float64 softmax of the dequantised trace of a real model, in V's int8 steps."""
    config = DenseConfig.of(PRESETS["smollm2-135m"])
    tensors = load("traces/smollm2-135m.npz", config)
    got = dense_attention(tensors, config)["out"]
    for head in range(3):
        steps = float(tensors.scale_q[head] * tensors.scale_k[head // tensors.group]) / 8.0
        q, k, v = (x.astype(np.float64) for x in (tensors.q8[head], *(t[head // 3] for t in (tensors.k8, tensors.v8))))
        weights = np.exp2((q @ k.T) * steps * log2(exp(1))) * np.tri(len(q))
        expected = weights @ v / weights.sum(axis=1, keepdims=True)
        errors = np.abs(got[head] - expected)
        assert errors.max() <= 1.3  # rows of up to 256 weights of 8 bits: more than the 1.25 of the kept tenth
        assert errors.mean() <= 0.27


def test_the_oracle_is_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dense model with approximate scores would be noticed."""
    tensors = from_arrays(random_trace(TINY, 7, 1, 1, 9, 11), TINY)
    from golden import dense

    half = DenseParams(DenseParams.of(TINY).config.replace(msb_bits=4, split="truncate"))
    monkeypatch.setattr(dense, "DenseParams", type("DenseParams", (), {"of": lambda _: half}))
    with pytest.raises(AssertionError, match="score"):
        check(tensors, TINY)
