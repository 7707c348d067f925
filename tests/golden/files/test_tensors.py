"""The tensor file: what is accepted, and the sentence for everything that is not."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.attention import attention
from golden.blocks.threshold_filter import valid_keys
from golden.files.stimuli import random_trace
from golden.files.tensors import from_arrays, load, read, save_npz
from latte_hw.config import DenseConfig
from latte_hw.config.errors import LatteError
from latte_hw.config.presets import PRESETS
from latte_hw.params import HeadParams

TINY = PRESETS["tiny"]
DROP = object()


def _float_trace(**changes: Any) -> dict[str, np.ndarray]:
    trace = {**random_trace(TINY, 0, 4, 2, 5, 6), **changes}
    return {name: x for name, x in trace.items() if x is not DROP}


def _int8_trace(**changes: Any) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    trace: dict[str, Any] = {
        name: rng.integers(-128, 119, (heads, 6, 8), endpoint=True).astype(np.int8)
        for name, heads in (("q", 4), ("k", 2), ("v", 2))
    }
    trace |= {"scale_q": np.full(4, 0.5), "scale_k": np.full(2, 0.25), "scale_v": np.ones(2), "tau_int": np.arange(4)}
    return {name: x for name, x in (trace | changes).items() if x is not DROP}


def test_float_tensors_are_quantised_per_head() -> None:
    trace = _float_trace()
    tensors = from_arrays(trace, TINY)
    for x8, x, scale, greatest in (
        (tensors.q8, trace["q"], tensors.scale_q, 119),
        (tensors.k8, trace["k"], tensors.scale_k, 119),
        (tensors.v8, trace["v"], tensors.scale_v, 127),
    ):
        np.testing.assert_array_equal(scale, np.abs(x).max(axis=(1, 2)) / np.float32(greatest))
        assert (np.abs(x8.astype(int)).max(axis=(1, 2)) == greatest).all()
        assert x8.dtype == np.int8
        assert np.abs(x8 * scale[:, None, None].astype(float) - x).max() <= 0.501 * scale.max()
    assert (tensors.heads, tensors.group, tensors.causal_offset, tensors.conditioning) == (4, 2, 1, ())


def test_registers_use_the_scales_of_the_own_kv_head() -> None:
    tensors = from_arrays(_int8_trace(scale_k=np.array([0.25, 0.5]), tau_int=DROP, tau=np.full(4, 9.0)), TINY)
    params = HeadParams(TINY)
    assert tensors.tau_int.tolist() == [params.threshold_register(9.0, 0.5, s) for s in (0.25, 0.25, 0.5, 0.5)]
    expected = [params.softmax_scale_register(0.5, s) for s in (0.25, 0.25, 0.5, 0.5)]
    assert [tuple(row) for row in tensors.softmax_scale.tolist()] == expected


def test_int8_tensors_are_taken_as_they_are() -> None:
    trace = _int8_trace(causal_offset=np.array([-3]), conditioning=np.array(["smooth_k", "rotate"]))
    tensors = from_arrays(trace, TINY)
    np.testing.assert_array_equal(tensors.q8, trace["q"])
    assert tensors.tau_int.tolist() == [0, 1, 2, 3]
    assert (tensors.causal_offset, tensors.conditioning) == (-3, ("smooth_k", "rotate"))


def test_given_scales_replace_computed_ones() -> None:
    trace = _float_trace(scale_q=np.full(4, 1000.0))
    tensors = from_arrays(trace, TINY)
    assert tensors.scale_q.tolist() == [1000.0] * 4
    assert not tensors.q8.any()


def test_a_large_threshold_keeps_everything_and_agreeing_thresholds_are_accepted() -> None:
    tensors = from_arrays(_float_trace(tau=np.full(4, 3e38, np.float32)), TINY)
    assert tensors.tau_int.tolist() == [HeadParams(TINY).widths.threshold_range[1]] * 4
    trace = _float_trace()
    both = {**trace, "tau_int": from_arrays(trace, TINY).tau_int}
    np.testing.assert_array_equal(from_arrays(both, TINY).tau_int, both["tau_int"])


FURTHEST = 2**63 - 1


@pytest.mark.parametrize(
    ("offset", "keys"),
    [
        (np.int64(FURTHEST), [6] * 5),
        (np.int64(FURTHEST - 3), [6] * 5),
        (np.int64(-FURTHEST - 1), [0] * 5),
        (np.uint64(2**64 - 1), [6] * 5),
        (np.uint64(2**63), [6] * 5),
        (np.uint8(1), [2, 3, 4, 5, 6]),
        (np.int64(33), [6] * 5),
        (np.int64(-33), [0] * 5),
        (np.array([-2], ">i2"), [0, 0, 1, 2, 3]),
    ],
)
def test_a_causal_offset_of_any_integer_type(offset: Any, keys: list[int], tmp_path: Path) -> None:
    """The ends of the types show every key or none, in a file as in memory."""
    causal = TINY.replace(causal=True)
    trace = _float_trace(causal_offset=np.asarray(offset))
    save_npz(tmp_path / "trace.npz", trace)
    for tensors in (from_arrays(trace, causal), load(tmp_path / "trace.npz", causal)):
        assert abs(tensors.causal_offset) <= TINY.max_keys
        assert valid_keys(5, 6, tensors.causal_offset, HeadParams(causal)).tolist() == keys
        seen = attention(tensors, causal)["counters"][:, 0]
        assert seen.tolist() == [sum(keys)] * 4


def test_static_thresholds_may_be_negative() -> None:
    static = TINY.replace(rule="static")
    assert from_arrays(_int8_trace(tau_int=np.array([-5, 0, 5, -1024])), static).tau_int.tolist() == [-5, 0, 5, -1024]
    assert from_arrays(_int8_trace(tau_int=DROP, tau=np.full(4, -1.0)), static).tau_int.max() < 0


F32 = np.float32
BAD_FLOAT = [
    ({"q": DROP}, "tensor file has no array 'q'; it needs q, k, v and tau or tau_int"),
    ({"k": np.zeros((6, 8), F32)}, r"k must have shape \(heads, tokens, head_dim\), none of them 0, not \(6, 8\)"),
    ({"q": np.zeros((4, 0, 8), F32)}, r"q must have shape .*, none of them 0, not \(4, 0, 8\)"),
    ({"v": np.zeros((2, 6, 12), F32)}, "v must have head_dim 8 as configured, not 12"),
    ({"k": np.zeros((2, 33, 8), F32)}, "k must have at most max_keys = 32 keys, not 33"),
    ({"q": np.zeros((2, 40, 8), F32)}, "q must have at most max_keys = 32 queries, not 40"),
    ({"v": np.zeros((2, 5, 8), F32)}, r"k and v must have the same shape, not \(2, 6, 8\) and \(2, 5, 8\)"),
    ({"q": np.zeros((5, 6, 8), F32)}, "number of query heads must be a multiple of the 2 K/V heads, not 5"),
    ({"q": np.zeros((4, 6, 8))}, "q must be float32 or int8, not float64"),
    ({"q": np.zeros((4, 6, 8), np.float16)}, "q must be float32 or int8, not float16"),
    ({"q": np.full((4, 6, 8), np.nan, F32)}, "q must be finite, but holds NaN"),
    ({"v": np.full((2, 6, 8), np.inf, F32)}, "v must be finite, but holds infinity"),
    ({"tau": DROP}, "neither tau nor tau_int; it needs one threshold per query head"),
    ({"tau": np.full(4, -0.5, F32)}, "tau must be 0 or more for the differential rule, not -0.5"),
    ({"tau": np.full(4, np.nan, F32)}, r"tau must be finite, at most 3\.4e\+38, not nan"),
    ({"tau": np.full(4, np.inf, F32)}, r"tau must be finite, at most 3\.4e\+38, not inf"),
    ({"tau": np.full(4, 1e300)}, r"tau must be finite, at most 3\.4e\+38, not 1e\+300"),
    ({"tau": np.ones(4, bool)}, "tau must be numbers, not bool"),
    ({"tau": np.zeros(3, F32)}, r"tau must have shape \(4,\), one per head, not of shape \(3,\)"),
    ({"tau": np.array(["1"] * 4)}, "tau must be numbers, not <U1"),
    ({"tau": np.full(4, 1e9), "tau_int": np.zeros(4, int)}, "disagree at head 0: tau gives 2047, not 0"),
    ({"conditioning": np.array(["whiten"])}, "conditioning must be among smooth_k, rotate, not 'whiten'"),
    ({"causal_offset": np.array([1, 2])}, r"causal_offset must be one integer, not int64 of shape \(2,\)"),
    ({"causal_offset": np.array(1.5)}, r"causal_offset must be one integer, not float64"),
]
BAD_INT8 = [
    ({"scale_v": DROP}, "v is int8, so the file must also hold scale_v, its int8 step per head"),
    ({"scale_k": np.ones(4)}, r"scale_k must have shape \(2,\), one per head, not \(4,\)"),
    ({"scale_q": np.array([1, 1, 0, 1.0])}, "scale_q must be above 0 and finite, not 0.0"),
    ({"scale_q": np.array([1, np.inf, 1, 1])}, "scale_q must be above 0 and finite, not inf"),
    ({"q": np.full((4, 6, 8), 120, np.int8)}, "q holds the int8 value 120, but with split=balanced"),
    ({"k": np.full((2, 6, 8), 127, np.int8)}, "k holds the int8 value 127, but with split=balanced"),
    ({"scale_q": np.array([1, 1e300, 1, 1])}, "scale_q must be above 0 and finite, not inf"),
    ({"scale_q": np.array([1, 1e-300, 1, 1])}, "scale_q must be above 0 and finite, not 0.0"),
    ({"tau_int": np.full(4, 2048)}, "tau_int must be from 0 to 2047, not 2048"),
    ({"tau_int": np.full(4, -1)}, "tau_int must be from 0 to 2047, not -1"),
    ({"tau_int": np.ones(4)}, "tau_int must be integers, not float64"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_FLOAT, ids=[message for _, message in BAD_FLOAT])
def test_bad_float_files(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LatteError, match=message):
        from_arrays(_float_trace(**changes), TINY)


@pytest.mark.parametrize(("changes", "message"), BAD_INT8, ids=[message for _, message in BAD_INT8])
def test_bad_int8_files(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LatteError, match=message):
        from_arrays(_int8_trace(**changes), TINY)


def test_values_above_the_balanced_limit_are_fine_when_truncating() -> None:
    trace = _int8_trace(k=np.full((2, 6, 8), 127, np.int8))
    assert from_arrays(trace, TINY.replace(split="truncate")).k8.max() == 127


def test_v_has_the_whole_range_of_int8_in_every_split() -> None:
    v = np.resize(np.arange(-128, 128), (2, 6, 8)).astype(np.int8)
    v[0, 0, :2] = -128, 127
    for split in ("balanced", "truncate"):
        np.testing.assert_array_equal(from_arrays(_int8_trace(v=v), TINY.replace(split=split)).v8, v)


def test_save_and_load(tmp_path: Path) -> None:
    trace = _float_trace()
    save_npz(tmp_path / "trace.npz", trace)
    loaded = load(tmp_path / "trace.npz", TINY)
    np.testing.assert_array_equal(loaded.q8, from_arrays(trace, TINY).q8)


def test_big_endian_files_are_those_of_this_machine(tmp_path: Path) -> None:
    trace = _float_trace(scale_v=np.ones(2), causal_offset=np.array(3))
    save_npz(tmp_path / "trace.npz", {name: x.astype(x.dtype.newbyteorder(">")) for name, x in trace.items()})
    loaded, expected = load(tmp_path / "trace.npz", TINY), from_arrays(trace, TINY)
    for name in ("q8", "k8", "v8", "scale_q", "scale_v", "tau_int", "causal_offset"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(expected, name))


def test_unused_members_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "trace.npz"
    save_npz(path, _float_trace())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("weights.npy", b"no array")
        archive.writestr("notes.txt", b"by hand")
    assert load(path, TINY).q8.shape == (4, 5, 8)
    save_npz(path, _float_trace(q=DROP))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("q", b"no array")
    with pytest.raises(LatteError, match=r"member q of tensor file .* must be an array, q\.npy"):
        load(path, TINY)


def test_thresholds_that_are_not_used_are_not_read(tmp_path: Path) -> None:
    """A dense core has none, and those of a thresholds file take the place of a tensor file's."""
    path = tmp_path / "trace.npz"
    save_npz(path, _float_trace(tau=DROP))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("tau.npy", b"no array")
    assert load(path, DenseConfig.of(TINY)).tau_int.tolist() == [0] * 4
    assert "tau" not in read(path, TINY, thresholds=False)
    with pytest.raises(LatteError, match="member tau of"):
        load(path, TINY)


def test_a_tensor_of_another_size_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_npz(tmp_path / "trace.npz", _float_trace(k=np.zeros((2, 33, 8), F32)))
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("data was read"))
    with pytest.raises(LatteError, match="k must have at most max_keys = 32 keys, not 33"):
        load(tmp_path / "trace.npz", TINY)
