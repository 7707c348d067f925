"""The PyTorch twin against the NumPy golden model: the same integers in every array, on every device there is."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

import golden.nn.integer
from golden.attention import attention
from golden.files.stimuli import CORNERS, random_trace
from golden.files.tensors import TensorFile, from_arrays, load
from golden.nn.integer import IntegerInputs, integer_attention
from golden.nn.rules import ScoreTile
from golden.nn.valid import tiles, valid_counts
from latte_hw.config import LatteConfig
from latte_hw.config.presets import PRESETS

TINY = PRESETS["tiny"]
STAGES = ("estimate", "keep", "score", "prob", "out", "counters")
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]
ROOT = Path(__file__).parents[3]


def check(tensors: TensorFile, config: LatteConfig, device: str) -> int:
    """Compare every array; returns the number of pairs of query and key."""
    expected = attention(tensors, config)
    got = integer_attention(IntegerInputs.of_file(tensors, config, device), config, stages=True)
    assert set(got) == set(STAGES)
    for name in STAGES:
        np.testing.assert_array_equal(got[name][0].cpu().numpy(), expected[name], err_msg=name)
    return int(expected["keep"].size)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("msb_bits", [2, 4, 8])
@pytest.mark.parametrize("split", ["balanced", "truncate"])
def test_every_mode(msb_bits: int, split: str, device: str) -> None:
    """With the six sets of parameters, 239,616 pairs per device; more than 100,000 is asked."""
    pairs = 0
    modes = product(["three_term", "exact"], ["differential", "static"], [False, True], [8, 12])
    for seed, (reuse, rule, causal, prob_bits) in enumerate(modes):
        config = TINY.replace(
            msb_bits=msb_bits, split=split, reuse=reuse, rule=rule, causal=causal, prob_bits=prob_bits,
            keys_per_cycle=4, head_dim=16, out_fraction_bits=seed % 3,
        )  # fmt: skip
        pairs += check(from_arrays(random_trace(config, seed, 4, 2, 24, 26, keep=0.3), config), config, device)
    assert pairs == 239_616 // 6


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CORNERS)
@pytest.mark.parametrize("changes", [{}, {"rule": "static", "causal": False, "keys_per_cycle": 8}])
def test_corners(name: str, changes: dict[str, object], device: str) -> None:
    config = TINY.replace(**changes)
    check(from_arrays(CORNERS[name](config, 5), config), config, device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("changes", [{}, {"split": "truncate", "prob_bits": 12, "out_fraction_bits": 4}])
def test_a_real_trace(changes: dict[str, object], device: str) -> None:
    config = PRESETS["smollm2-135m"].replace(**changes)
    assert check(load(ROOT / "traces" / "smollm2-135m.npz", config), config, device) == 9 * 256 * 256


@pytest.mark.parametrize("device", DEVICES)
def test_sums_beyond_float32(device: str) -> None:
    """Every key weighs about the same: Σ p·v passes 2^24, where float32 would round."""
    config = LatteConfig(max_keys=2048, prob_bits=16, head_dim=8, out_fraction_bits=8)
    trace = random_trace(config, 1, 1, 1, 3, 2048)
    trace |= {"q": trace["q"] * 0.01, "tau": np.full(1, 1e9, np.float32)}
    check(from_arrays(trace, config), config, device)


def test_tiling_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    config = TINY.replace(keys_per_cycle=8)
    inputs = IntegerInputs.of_file(from_arrays(random_trace(config, 2, 2, 1, 30, 31), config), config)
    whole = integer_attention(inputs, config, stages=True)

    def one_by_one(counts: torch.Tensor, n_keys: int, heads: int) -> list[tuple[slice, int]]:
        del n_keys, heads
        return [(slice(i, i + 1), int(n)) for i, n in enumerate(counts[0]) if n]

    monkeypatch.setattr(golden.nn.integer, "tiles", one_by_one)
    for name, values in integer_attention(inputs, config, stages=True).items():
        assert torch.equal(values, whole[name]), name


def test_tiles_cover_every_query_that_sees_a_key() -> None:
    counts = valid_counts(2, 3000, 2500, -400)
    found = tiles(counts, 2500, 8)
    assert len(found) > 10
    rows = [row for piece, _ in found for row in range(piece.start, piece.stop)]
    assert len(rows) == len(set(rows))
    assert set(counts[0].nonzero().flatten().tolist()) <= set(rows)
    assert all(seen == int(counts[:, piece].max()) for piece, seen in found)


@pytest.mark.parametrize("causal", [False, True])
def test_padded_windows_equal_golden_without_the_padding(causal: bool) -> None:
    """Windows of one batch have their own lengths and registers; padding is neither computed nor seen."""
    config = TINY.replace(causal=causal)
    lengths = (9, 20, 1)
    files = [from_arrays(random_trace(config, n, 4, 2, n, n), config) for n in lengths]
    single = [IntegerInputs.of_file(file, config) for file in files]

    def batched(name: str) -> torch.Tensor:
        parts = [getattr(one, name) for one in single]
        if name in ("q8", "k8", "v8"):
            parts = [torch.nn.functional.pad(x, (0, 0, 0, 20 - x.shape[2]), value=77) for x in parts]
        if name == "counts":
            parts = [torch.nn.functional.pad(x, (0, 20 - x.shape[1])) for x in parts]
        return torch.cat(parts)

    names = [name for name in vars(single[0]) if name != "conditioning"]
    inputs = IntegerInputs(**{name: batched(name) for name in names})
    got = integer_attention(inputs, config, stages=True)
    for window, (n, file) in enumerate(zip(lengths, files, strict=True)):
        again = inputs.to_file(window)
        assert again.causal_offset == file.causal_offset or not causal
        np.testing.assert_array_equal(again.k8, file.k8)
        expected = attention(again, config)
        np.testing.assert_array_equal(got["out"][window, :, :n], expected["out"])
        np.testing.assert_array_equal(got["prob"][window, :, :n, :n], expected["prob"])
        np.testing.assert_array_equal(got["counters"][window], expected["counters"])
        assert not got["out"][window, :, n:].any()
        assert not got["keep"][window, :, n:].any()
        assert not got["keep"][window, :, :, n:].any()


def test_a_file_comes_back_as_it_was() -> None:
    for name in ("fewer_queries", "more_queries"):
        file = from_arrays(CORNERS[name](TINY, 1), TINY)
        again = IntegerInputs.of_file(file, TINY).to_file(0)
        expected, got = attention(file, TINY), attention(again, TINY)
        np.testing.assert_array_equal(got["out"], expected["out"])
        np.testing.assert_array_equal(again.softmax_scale, file.softmax_scale)


class FirstKeyOnly:
    """A rule of a test's own."""

    def keep(self, tile: ScoreTile) -> torch.Tensor:
        first = torch.arange(tile.score.shape[-1], device=tile.score.device) == 0
        return (tile.valid & first).expand_as(tile.score)

    def margin(self, tile: ScoreTile) -> torch.Tensor:
        raise AssertionError(f"not called, but for {tile}")


def test_another_rule_and_another_estimate() -> None:
    config = TINY
    file = from_arrays(random_trace(config, 3, 2, 1, 9, 9), config)
    inputs = IntegerInputs.of_file(file, config)
    got = integer_attention(inputs, config, stages=True, rule=FirstKeyOnly())
    assert got["keep"].sum() == got["counters"][..., 1].sum() == got["counters"][..., 2].sum() == 2 * 9
    np.testing.assert_array_equal(got["out"][0, 0], file.v8[:, :1].repeat(9, 1)[0])
    eight = integer_attention(inputs, config, stages=True, estimate_bits=8)
    exact = file.q8.astype(int) @ file.k8.astype(int).swapaxes(1, 2)
    np.testing.assert_array_equal(eight["estimate"][0], np.where(np.tri(9, dtype=bool), exact, 0))
    both = eight["keep"][0] & integer_attention(inputs, config, stages=True)["keep"][0]
    np.testing.assert_array_equal(
        eight["score"][0][both], integer_attention(inputs, config, stages=True)["score"][0][both]
    )
