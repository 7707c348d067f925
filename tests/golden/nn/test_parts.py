"""Thresholds, conditioning, valid pairs and exact products of the PyTorch twin."""

import numpy as np
import pytest
import torch

from golden.blocks import conditioning as reference
from golden.nn.condition import condition
from golden.nn.exact import exact_float32, grouped_matmul
from golden.nn.thresholds import Thresholds
from golden.nn.valid import counts_of_mask, real_keys, valid_counts
from latte_hw.config.errors import LatteError


def test_thresholds_are_never_negative_and_leave_zero_again() -> None:
    thresholds = Thresholds(2, 3, initial=0.1)
    optimizer = torch.optim.SGD(thresholds.parameters(), lr=1.0)
    thresholds.tau().sum().backward()
    optimizer.step()
    assert torch.equal(thresholds.tau(), torch.zeros(2, 3))
    assert torch.equal(thresholds.values(), torch.zeros(2, 3))
    thresholds.project_()
    assert not thresholds.raw.any()
    optimizer.zero_grad()
    (-thresholds()).sum().backward()
    optimizer.step()
    assert torch.equal(thresholds.values(), torch.ones(2, 3))
    assert not thresholds.values().requires_grad
    assert [name for name, _ in thresholds.named_parameters()] == ["raw"]


def test_signed_thresholds_keep_their_sign() -> None:
    thresholds = Thresholds(1, 2, initial=-3.0, signed=True)
    thresholds.project_()
    assert thresholds.values().tolist() == [[-3, -3]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.zeros(3, 2), r"must have shape \(2, 3\), layers and heads, not \(3, 2\)"),
        (torch.full((2, 3), -0.5), "must be 0 or more, not -0.5"),
        (torch.full((2, 3), torch.nan), "must be finite, but hold NaN"),
        (torch.full((2, 3), torch.inf), "must be finite, but hold infinity"),
    ],
)
def test_bad_thresholds(values: torch.Tensor, message: str) -> None:
    with pytest.raises(LatteError, match=message):
        Thresholds(2, 3).load(values)
    with pytest.raises(LatteError, match="at least one layer"):
        Thresholds(0, 3)


@pytest.mark.parametrize("names", [(), ("smooth_k",), ("rotate",), ("smooth_k", "rotate")])
def test_conditioning_is_goldens(names: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    q, k = (rng.standard_normal((2, heads, 20, 32)).astype(np.float32) for heads in (4, 2))
    got = condition(names, torch.from_numpy(q), torch.from_numpy(k))
    for window in range(2):
        expected = reference.condition(names, q[window], k[window])
        for mine, theirs in zip(got, expected, strict=True):
            np.testing.assert_allclose(mine[window], theirs, rtol=1e-6, atol=1e-6)


def test_padding_and_stored_means() -> None:
    k = torch.rand(1, 2, 6, 8)
    padded = torch.cat([k, torch.full((1, 2, 2, 8), 50.0)], 2)
    alone = condition(("smooth_k",), k, k)[1]
    masked = condition(("smooth_k",), padded, padded, real=(torch.arange(8) < 6)[None])[1]
    torch.testing.assert_close(masked[:, :, :6], alone)
    mean = torch.rand(2, 8)
    stored = condition(("smooth_k",), k, k, k_mean=mean)[1]
    assert torch.equal(stored, k - mean[:, None])
    with pytest.raises(LatteError, match="conditioning must be among"):
        condition(("smooth",), k, k)


def test_counts() -> None:
    assert valid_counts(2, 3, 5, 2)[1].tolist() == [3, 4, 5]
    assert valid_counts(1, 4, 3, -1).tolist() == [[0, 1, 2, 3]]
    assert valid_counts(1, 2, 3, None).tolist() == [[3, 3]]
    real = (torch.arange(6) < torch.tensor([[6], [4]]))[:, None, None, :]  # two windows, the second padded
    causal = torch.ones(6, 6, dtype=torch.bool).tril()[None, None]
    assert counts_of_mask(real & causal).tolist() == [[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 0, 0]]
    both_ways = counts_of_mask(real.expand(2, 1, 6, 6))
    assert both_ways.tolist() == [[6] * 6, [4] * 4 + [0] * 2]
    assert real_keys(both_ways, 6).tolist() == real[:, 0, 0].tolist()
    additive = torch.where(real & causal, 0.0, torch.finfo(torch.float32).min)
    assert torch.equal(counts_of_mask(additive), counts_of_mask(real & causal))
    with pytest.raises(LatteError, match="pad on the right"):
        counts_of_mask(real.flip(-1) & causal)
    with pytest.raises(LatteError, match=r"must have shape \(batch, 1, queries, keys\), not \(2, 6\)"):
        counts_of_mask(real[:, 0, 0])


def test_products_are_exact_whatever_the_process_has_asked_for() -> None:
    a = torch.randint(-128, 128, (1, 4, 40, 64)).float()
    b = torch.randint(-128, 128, (1, 2, 64, 30)).float()
    expected = a.double() @ b.double().repeat_interleave(2, 1)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            with exact_float32(a.device):
                assert torch.get_float32_matmul_precision() == "highest"
                assert torch.equal(grouped_matmul(a, b).double(), expected)
            assert grouped_matmul(a, b).dtype == torch.bfloat16
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
