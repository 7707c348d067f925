"""Quantisation and registers in torch: bit-equal to golden and to HeadParams, with straight-through gradients."""

import numpy as np
import pytest
import torch

from golden.blocks import quantize as reference
from golden.files.stimuli import random_trace
from golden.files.tensors import from_arrays
from golden.nn.integer import IntegerInputs
from golden.nn.quantize import (
    LayerScales,
    StaticScales,
    head_scales,
    quantize,
    quantize_all,
    softmax_registers,
    threshold_registers,
)
from golden.nn.valid import valid_counts
from latte_hw.config import LatteConfig
from latte_hw.config.errors import LatteError
from latte_hw.params import HeadParams

CONFIGS = [LatteConfig(), LatteConfig(split="truncate", msb_bits=2), LatteConfig(rule="static", prob_bits=16)]
PARAMS = [HeadParams(config) for config in CONFIGS]


@pytest.mark.parametrize("tensor", ["q", "v"])
@pytest.mark.parametrize("params", PARAMS)
def test_steps_and_integers_are_goldens(params: HeadParams, tensor: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((40, 50, 16)).astype(np.float32) * np.geomspace(1e-30, 1e30, 40)[:, None, None]
    x = x.astype(np.float32)
    x[3] = 0
    x[4, :, :] = np.float32(1e-45)  # so small that its step is 0 in float32
    scales = reference.head_scales(x, params, tensor=tensor)
    got = head_scales(torch.from_numpy(x)[None], params, tensor=tensor)
    np.testing.assert_array_equal(got[0], scales)
    whole = quantize(torch.from_numpy(x)[None], got, params, tensor)
    np.testing.assert_array_equal(whole[0], reference.quantize(x, scales, params, tensor))
    assert whole[0, 0].abs().max() == params.widths.greatest(tensor)
    half = np.full_like(scales, 0.4)  # clipped, and with ties
    ties = (np.arange(-400, 400, dtype=np.float32) * np.float32(0.2)).reshape(1, 50, 16).repeat(40, 0)
    np.testing.assert_array_equal(
        quantize(torch.from_numpy(ties)[None], torch.from_numpy(half)[None], params, tensor)[0],
        reference.quantize(ties, half, params, tensor),
    )


def test_clipping_gives_finer_steps_and_saturates_the_greatest() -> None:
    params = PARAMS[0]
    x = np.random.default_rng(5).standard_normal((3, 50, 16)).astype(np.float32)
    whole, clipped = reference.head_scales(x, params, tensor="v"), reference.head_scales(x, params, 0.75)
    np.testing.assert_allclose(clipped, 0.75 * whole * 127 / 119, rtol=1e-6)
    tensor = torch.from_numpy(x)[None]
    np.testing.assert_array_equal(head_scales(tensor, params, clip=0.75)[0], clipped)
    made = quantize_all(tensor, tensor, tensor, params, clip=0.75)
    for name, scales in (("q", clipped), ("k", clipped), ("v", whole)):  # values are weighed, not estimated
        np.testing.assert_array_equal(getattr(made, f"scale_{name}")[0], scales)
        np.testing.assert_array_equal(getattr(made, name)[0], reference.quantize(x, scales, params, name))
    assert int(made.v.abs().max()) == params.widths.value_max
    assert int(made.q.max()) == params.widths.quant_max
    assert (made.q == params.widths.quant_max).sum() > 3


@pytest.mark.parametrize("params", PARAMS)
def test_registers_are_goldens(params: HeadParams) -> None:
    rng = np.random.default_rng(2)
    count = 3000
    scale_q = (10.0 ** rng.uniform(-12, 6, count)).astype(np.float32)
    scale_k = (10.0 ** rng.uniform(-12, 6, count)).astype(np.float32)
    tau = (10.0 ** rng.uniform(-6, 6, count)).astype(np.float32)
    tau[:3] = [0, 3e38, 1e30]
    q, k, t = (torch.from_numpy(x) for x in (scale_q, scale_k, tau))
    got = threshold_registers(t, q[None], k[None], params)[0]
    triples = [tuple(float(x) for x in row) for row in zip(tau, scale_q, scale_k, strict=True)]
    assert got.tolist() == [params.threshold_register(*row) for row in triples]
    mantissa, shift = softmax_registers(q[None], k[None], params)
    expected = [params.softmax_scale_register(*row[1:]) for row in triples]
    assert list(zip(mantissa[0].tolist(), shift[0].tolist(), strict=True)) == expected
    assert {(0, 0), (2**16 - 1, 0)} <= set(expected)


def test_inputs_are_those_of_a_tensor_file() -> None:
    config = LatteConfig(head_dim=16, max_keys=32, causal=True)
    params = HeadParams(config)
    trace = random_trace(config, 4, 4, 2, 12, 12)
    file = from_arrays(trace, config)
    q, k, v, tau = (torch.from_numpy(trace[name]) for name in ("q", "k", "v", "tau"))
    got = IntegerInputs.of(quantize_all(q[None], k[None], v[None], params), tau, valid_counts(1, 12, 12, 0), params)
    for name, expected in vars(IntegerInputs.of_file(file, config)).items():
        if name != "conditioning":
            assert torch.equal(getattr(got, name), expected), name


def test_padding_does_not_count_in_a_window_s_steps() -> None:
    params = HeadParams(LatteConfig(head_dim=8))
    x = torch.rand(2, 2, 5, 8)
    padded = torch.cat([x, torch.full((2, 2, 3, 8), 9.0)], 2)
    real = (torch.arange(8) < 5).expand(2, 8)
    alone, masked = quantize_all(x, x, x, params), quantize_all(padded, padded, padded, params, real=real)
    assert torch.equal(alone.scale_q, masked.scale_q)
    assert torch.equal(alone.scale_v, masked.scale_v)
    assert torch.equal(alone.k, masked.k[:, :, :5])


def test_gradient_is_that_of_the_dequantised_value() -> None:
    params = HeadParams(LatteConfig())
    x = torch.tensor([0.3, -1.0, 50.0, -100.0]).reshape(1, 1, 1, 4).requires_grad_()
    whole = quantize(x, torch.tensor([[0.25]]), params)
    assert whole.flatten().tolist() == [1, -4, 119, -128]
    whole.sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [4, 4, 0, 0]


def test_stored_scales() -> None:
    params = HeadParams(LatteConfig(head_dim=8))
    q, k = torch.rand(2, 4, 5, 8), torch.rand(2, 2, 5, 8)
    stored = StaticScales(*(torch.rand(3, heads) + 0.1 for heads in (4, 2, 2)), torch.rand(3, 2, 8))
    layer = stored.layer(1)
    assert isinstance(layer, LayerScales)
    got = quantize_all(q, k, k, params, scales=layer)
    assert torch.equal(got.scale_k, stored.k[1].expand(2, 2))
    assert torch.equal(got.q, quantize(q, stored.q[1].expand(2, 4), params))
    stored.check(3, 4, smooth=True)
    with pytest.raises(LatteError, match=r"not those of 3 layers of 5 heads, but \(3, 4\)"):
        stored.check(3, 5, smooth=True)
    with pytest.raises(LatteError, match="needs the stored means"):
        StaticScales(stored.q, stored.k, stored.v).check(3, 4, smooth=True)
    with pytest.raises(LatteError, match="stored scales of k must be above 0 and finite"):
        StaticScales(stored.q, stored.k * 0, stored.v).check(3, 4, smooth=False)
