"""The whole model, against a scalar transcription of the design in Python integers, over modes and shapes."""

from fractions import Fraction
from itertools import product
from math import floor

import numpy as np
import pytest

import golden.blocks.head
from golden.attention import attention
from golden.files.stimuli import CORNERS, random_trace
from golden.files.tensors import TensorFile, from_arrays
from latte_hw.config import LatteConfig
from latte_hw.config.presets import PRESETS
from latte_hw.params import EXP_GUARD_BITS, HeadParams

TINY = PRESETS["tiny"]


def parts(x: int, params: HeadParams) -> tuple[int, int]:
    shift = params.widths.low_bits
    rounding = 2 ** (shift - 1) if shift and params.widths.low_signed else 0
    high = (x + rounding) >> shift
    return high, x - (high << shift)


def reference(t: TensorFile, config: LatteConfig) -> dict[str, np.ndarray]:
    """Every result, pair by pair, from the formulas of the design."""
    params = HeadParams(config)
    heads, n_queries, dim = t.q8.shape
    n_keys, shift = t.k8.shape[1], params.widths.low_bits
    shape = (heads, n_queries, n_keys)
    estimate, score, prob = (np.zeros(shape, np.int64) for _ in range(3))
    keep, out = np.zeros(shape, bool), np.zeros((heads, n_queries, dim), np.int64)
    counters = np.zeros((heads, 3), np.int64)
    for h, i in product(range(heads), range(n_queries)):
        g = h // (heads // len(t.k8))
        valid = [j for j in range(n_keys) if not config.causal or j <= i + t.causal_offset]
        counters[h, 0] += len(valid)
        if not valid:
            continue
        q = [parts(int(x), params) for x in t.q8[h, i]]
        k = {j: [parts(int(x), params) for x in t.k8[g, j]] for j in valid}
        e = {j: sum(a[0] * b[0] for a, b in zip(q, k[j], strict=True)) for j in valid}
        tau = int(t.tau_int[h])

        def passes(value: int, best: int, tau: int = tau) -> bool:
            return best - value <= tau if config.rule == "differential" else value >= tau or value == best

        for j in valid:
            estimate[h, i, j] = e[j]
            last_of_beat = (j // config.keys_per_cycle + 1) * config.keys_per_cycle
            counters[h, 1] += passes(e[j], max(e[other] for other in valid if other < last_of_beat))
        kept = [j for j in valid if passes(e[j], max(e.values()))]
        counters[h, 2] += len(kept)
        s = {}
        for j in kept:
            c = sum(a[0] * b[1] + a[1] * b[0] for a, b in zip(q, k[j], strict=True))
            low = sum(a[1] * b[1] for a, b in zip(q, k[j], strict=True)) if config.reuse == "exact" else 0
            s[j] = (e[j] << 2 * shift) + (c << shift) + low
        mantissa, scale_shift = (int(x) for x in t.softmax_scale[h])
        f = params.widths.exp_fraction_bits
        remainder = 2 ** (EXP_GUARD_BITS - 1)
        for j in kept:
            delta = max(s.values()) - s[j]
            exponent = min((((delta * mantissa) >> scale_shift) + 1) >> 1, 2**params.widths.exp_bits - 1)
            remainder += params.widths.exp_table[exponent % 2**f] >> (exponent >> f)
            keep[h, i, j], score[h, i, j] = True, s[j]
            prob[h, i, j] = remainder >> EXP_GUARD_BITS
            remainder %= 2**EXP_GUARD_BITS
        total = int(prob[h, i].sum())
        for d in range(dim):
            summed = sum(int(prob[h, i, j]) * int(t.v8[g, j, d]) for j in kept)
            out[h, i, d] = floor(Fraction(summed << config.out_fraction_bits, total) + Fraction(1, 2))
    return {
        "estimate": estimate, "keep": keep, "score": score, "prob": prob, "out": out, "counters": counters
    }  # fmt: skip


def check(trace: dict[str, np.ndarray], config: LatteConfig) -> dict[str, np.ndarray]:
    tensors = from_arrays(trace, config)
    got = attention(tensors, config)
    for name, expected in reference(tensors, config).items():
        np.testing.assert_array_equal(got[name], expected, err_msg=name)
    return got


@pytest.mark.parametrize("split", ["balanced", "truncate"])
@pytest.mark.parametrize("reuse", ["three_term", "exact"])
@pytest.mark.parametrize("rule", ["differential", "static"])
@pytest.mark.parametrize("causal", [False, True])
def test_every_mode(split: str, reuse: str, rule: str, causal: bool) -> None:
    config = TINY.replace(split=split, reuse=reuse, rule=rule, causal=causal, keys_per_cycle=4)
    got = check(random_trace(config, 7, 2, 1, 9, 11, keep=0.4), config)
    assert 0 < got["counters"][:, 2].sum() < got["counters"][:, 0].sum()


@pytest.mark.parametrize(("msb_bits", "prob_bits", "fraction"), [(2, 4, 0), (3, 8, 8), (5, 16, 8), (8, 12, 3)])
def test_widths(msb_bits: int, prob_bits: int, fraction: int) -> None:
    config = TINY.replace(msb_bits=msb_bits, prob_bits=prob_bits, out_fraction_bits=fraction)
    check(random_trace(config, 3, 1, 1, 8, 13, keep=0.5), config)


@pytest.mark.parametrize("name", CORNERS)
@pytest.mark.parametrize("changes", [{}, {"rule": "static", "causal": False, "keys_per_cycle": 8}])
def test_corners(name: str, changes: dict[str, object]) -> None:
    config = TINY.replace(**changes)
    check(CORNERS[name](config, 5), config)


def test_grouped_heads_equal_repeated_keys_and_values() -> None:
    config = TINY
    trace = random_trace(config, 1, 6, 2, 10, 12)
    grouped = attention(from_arrays(trace, config), config)
    repeated = {**trace, "k": trace["k"].repeat(3, axis=0), "v": trace["v"].repeat(3, axis=0)}
    separate = attention(from_arrays(repeated, config), config)
    for name in ("estimate", "keep", "score", "prob", "out", "counters"):
        np.testing.assert_array_equal(grouped[name], separate[name])
    assert (grouped["out"][0] != grouped["out"][3]).any()


@pytest.mark.parametrize("causal", [False, True])
def test_tiling_does_not_show(causal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    config = TINY.replace(causal=causal, keys_per_cycle=8)
    tensors = from_arrays(random_trace(config, 2, 2, 1, 30, 31), config)
    whole = attention(tensors, config)
    monkeypatch.setattr(golden.blocks.head, "TILE_PAIRS", 7 * 31)
    tiled = attention(tensors, config)
    for name, expected in whole.items():
        np.testing.assert_array_equal(tiled[name], expected)


def test_explicit_causal_offset() -> None:
    trace = random_trace(TINY, 2, 1, 1, 4, 6)
    moved = check({**trace, "causal_offset": np.array(-2)}, TINY)
    assert moved["counters"][0, 0] == 0 + 0 + 1 + 2
    assert attention(from_arrays(trace, TINY), TINY)["counters"][0, 0] == 3 + 4 + 5 + 6
    assert not moved["out"][0, :2].any()


def test_exact_dense_scores_are_int8_dot_products() -> None:
    config = TINY.replace(reuse="exact", causal=False)
    got = attention(from_arrays(CORNERS["tau_maximum"](config, 1), config), config)
    assert got["keep"].all()
    expected = got["q8"].astype(int) @ np.swapaxes(got["k8"].astype(int), 1, 2)
    np.testing.assert_array_equal(got["score"], expected)


def test_names_and_types_of_the_results() -> None:
    got = attention(from_arrays(random_trace(TINY, 0, 4, 2, 5, 6), TINY), TINY)
    assert {name: (x.dtype.name, x.shape) for name, x in got.items() if name != "counter_names"} == {
        "q8": ("int8", (4, 5, 8)),
        "k8": ("int8", (2, 6, 8)),
        "v8": ("int8", (2, 6, 8)),
        "scale_q": ("float32", (4,)),
        "scale_k": ("float32", (2,)),
        "scale_v": ("float32", (2,)),
        "tau_int": ("int64", (4,)),
        "softmax_scale": ("int64", (4, 2)),
        "estimate": ("int32", (4, 5, 6)),
        "keep": ("bool", (4, 5, 6)),
        "score": ("int32", (4, 5, 6)),
        "prob": ("uint16", (4, 5, 6)),
        "out": ("int16", (4, 5, 8)),
        "counters": ("int64", (4, 3)),
    }
    assert got["counter_names"].tolist() == ["keys_seen", "survivors", "kept"]
