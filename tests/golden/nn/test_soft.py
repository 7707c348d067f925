"""The differentiable attention: its forward against float64, its gradients against formulas and finite differences."""

import numpy as np
import pytest
import torch

import golden.nn.soft
from golden.attention import attention
from golden.files.stimuli import random_trace
from golden.nn.integer import IntegerInputs, integer_attention
from golden.nn.quantize import Quantized, quantize_all
from golden.nn.rules import KeepAll, configured_rule
from golden.nn.soft import SoftResult, soft_attention
from golden.nn.valid import valid_counts
from latte_hw.config import LatteConfig
from latte_hw.params import HeadParams

CONFIG = LatteConfig(head_dim=16, max_keys=64, causal=True)
PARAMS = HeadParams(CONFIG)
HEADS, KV_HEADS, N = 4, 2, 24
COUNTS = valid_counts(2, N, N, 0)
KAPPA = 0.25


def make(config: LatteConfig = CONFIG, keep: float = 0.3) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Float q, k, v of two windows, with gradient, and thresholds (H,)."""
    traces = [random_trace(config, seed, HEADS, KV_HEADS, N, N, keep=keep) for seed in (1, 2)]
    qkv = [torch.from_numpy(np.stack([trace[name] for trace in traces])).requires_grad_() for name in ("q", "k", "v")]
    return qkv, torch.from_numpy(traces[0].get("tau", np.zeros(HEADS, np.float32))).requires_grad_()


def run(qkv: list[torch.Tensor], tau: torch.Tensor, config: LatteConfig = CONFIG, **options) -> SoftResult:
    params = HeadParams(config)
    arguments = {"kappa": KAPPA, **options}
    rule = arguments.pop("rule", configured_rule(config))
    return soft_attention(quantize_all(*qkv, params), COUNTS, tau, rule, params, **arguments)


def stages(tensors: Quantized, tau: torch.Tensor, config: LatteConfig = CONFIG) -> dict[str, np.ndarray]:
    """Float64 arrays (B, H, N, N) from the bit-equal integers: distance of the estimate and score, in logits, and keep.

    The scores are those of all valid pairs: a threshold that keeps everything is used to see them.
    """
    params = HeadParams(config)
    inputs = IntegerInputs.of(tensors, torch.full_like(tau, 1e9), COUNTS, params)
    dense = integer_attention(inputs, config, stages=True)
    kept = integer_attention(IntegerInputs.of(tensors, tau, COUNTS, params), config, stages=True)["keep"]
    step = tensors.logit_step().double()[:, :, None, None]
    valid = dense["keep"]
    estimate = dense["estimate"].double() * step * 4.0**params.widths.low_bits
    best = estimate.masked_fill(~valid, -torch.inf).amax(-1, keepdim=True)
    v = (tensors.v * tensors.scale_v[:, :, None, None]).repeat_interleave(tensors.group, 1).double()
    found = {"distance": best - estimate, "logit": dense["score"].double() * step, "keep": kept, "valid": valid, "v": v}
    return {name: x.detach().numpy() for name, x in found.items()}


def attend(mask: np.ndarray, s: dict[str, np.ndarray]) -> np.ndarray:
    """Float64 attention with weights ``mask · exp(logit)``."""
    logit = np.where(s["valid"], s["logit"], -np.inf)
    weight = mask * np.exp(logit - logit.max(-1, keepdims=True))
    return weight / weight.sum(-1, keepdims=True) @ s["v"]


@pytest.mark.parametrize("changes", [{}, {"reuse": "exact"}, {"split": "truncate", "msb_bits": 3}, {"msb_bits": 8}])
def test_forward_is_float64_softmax_over_the_kept_integer_scores(changes: dict[str, object]) -> None:
    config = CONFIG.replace(**changes)
    qkv, tau = make(config)
    got, s = run(qkv, tau, config), stages(quantize_all(*qkv, HeadParams(config)), tau, config)
    np.testing.assert_allclose(got.out.detach(), attend(s["keep"], s), rtol=1e-5, atol=1e-6)
    assert got.kept.tolist() == s["keep"].sum((0, 2, 3)).tolist()
    assert got.valid.tolist() == [2 * N * (N + 1) // 2] * HEADS
    assert 0 < got.kept.sum() < got.valid.sum()


def test_forward_counts_what_golden_counts() -> None:
    qkv, tau = make()
    inputs = IntegerInputs.of(quantize_all(*qkv, PARAMS), tau, COUNTS, PARAMS)
    counters = sum(attention(inputs.to_file(window), CONFIG)["counters"] for window in range(2))
    got = run(qkv, tau)
    assert got.valid.tolist() == counters[:, 0].tolist()
    assert got.kept.tolist() == counters[:, 2].tolist()


def test_gradient_of_the_soft_keep_ratio_is_a_finite_difference() -> None:
    qkv, tau = make()
    soft = run(qkv, tau).soft_kept
    (gradient,) = torch.autograd.grad(soft.sum(), tau)
    s, h = stages(quantize_all(*qkv, PARAMS), tau), 1e-4

    def kept(value: np.ndarray) -> np.ndarray:
        margin = value[:, None, None] - s["distance"]
        return (s["valid"] / (1 + np.exp(-margin / KAPPA))).sum((0, 2, 3))

    value = tau.detach().double().numpy()
    np.testing.assert_allclose(soft.detach(), kept(value), rtol=1e-5)
    np.testing.assert_allclose(gradient, (kept(value + h) - kept(value - h)) / (2 * h), rtol=1e-3)
    assert (gradient > 0).all()


def test_gradient_of_the_output_is_a_finite_difference_at_the_hard_mask() -> None:
    """Straight through: the loss is differentiated at the hard mask, along the derivative of the soft one."""
    qkv, tau = make()
    weight = torch.randn(2, HEADS, N, 16, generator=torch.Generator().manual_seed(3))
    (gradient,) = torch.autograd.grad((run(qkv, tau).out * weight).sum(), tau)
    s, h = stages(quantize_all(*qkv, PARAMS), tau), 1e-6
    soft = 1 / (1 + np.exp(-(tau.detach().double().numpy()[:, None, None] - s["distance"]) / KAPPA))
    slope = s["valid"] * soft * (1 - soft) / KAPPA

    def loss(step: float) -> np.ndarray:
        return (attend(s["keep"] + step * slope, s) * weight.numpy()).sum((0, 2, 3))

    np.testing.assert_allclose(gradient, (loss(h) - loss(-h)) / (2 * h), rtol=2e-4, atol=1e-4)
    assert (gradient != 0).all()


def test_a_dropped_key_pulls_its_threshold_up() -> None:
    """With every weight on one dropped key's value, a descent step on the error raises the threshold."""
    qkv, tau = make(keep=0.1)
    out = run(qkv, tau).out
    with torch.no_grad():
        target = run(qkv, tau, rule=KeepAll()).out
    (gradient,) = torch.autograd.grad((out - target).square().sum(), tau)
    assert (gradient < 0).all()


def test_gradients_of_q_k_and_v_are_those_of_dense_attention() -> None:
    """With every key kept and exact scores, plain attention over dequantised values has the same gradients."""
    config = CONFIG.replace(reuse="exact")
    qkv, tau = make(config)
    weight = torch.randn(2, HEADS, N, 16)
    got = torch.autograd.grad((run(qkv, tau, config, rule=KeepAll(), kappa=None).out * weight).sum(), qkv)
    tensors = quantize_all(*qkv, HeadParams(config))
    q, k, v = (
        (x * scale[:, :, None, None]).detach().requires_grad_()
        for x, scale in ((tensors.q, tensors.scale_q), (tensors.k, tensors.scale_k), (tensors.v, tensors.scale_v))
    )
    out = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    for mine, plain in zip(got, torch.autograd.grad((out * weight).sum(), (q, k, v)), strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-3, atol=1e-4)


def test_tiling_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    qkv, tau = make()
    weight = torch.randn(2, HEADS, N, 16)

    def result() -> list[torch.Tensor]:
        got = run(qkv, tau)
        loss = (got.out * weight).sum() + got.soft_kept.sum()
        return [got.out, got.soft_kept, got.kept, *torch.autograd.grad(loss, [*qkv, tau])]

    whole = result()
    pieces = [(slice(i, i + 5), min(i + 5, N)) for i in range(0, N, 5)]
    monkeypatch.setattr(golden.nn.soft, "tiles", lambda *_: pieces)
    for mine, expected in zip(result(), whole, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-4)


def test_nothing_of_the_size_of_the_scores_is_kept_for_backward() -> None:
    qkv, tau = make()
    saved: list[int] = []

    def pack(x: torch.Tensor) -> torch.Tensor:
        saved.append(x.numel())
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        run(qkv, tau)
    assert saved
    assert max(saved) < 2 * HEADS * N * N


def test_queries_without_keys_give_zero_and_no_nan() -> None:
    qkv, tau = make()
    counts = COUNTS.clone()
    counts[0, 20:] = 0
    got = soft_attention(
        quantize_all(*qkv, PARAMS), counts, tau, configured_rule(CONFIG), PARAMS, kappa=KAPPA, estimate_bits=None
    )
    assert not got.out[0, :, 20:].any()
    got.out.square().sum().backward()
    for x in (*qkv, tau):
        assert x.grad is not None
        assert x.grad.isfinite().all()


@pytest.mark.parametrize("rule", ["differential", "static"])
def test_another_number_of_bits_in_the_estimate(rule: str) -> None:
    """The limit of a rule: the exact score as estimate, and what is kept weighs as before."""
    config = CONFIG.replace(rule=rule)
    qkv, tau = make(config)
    params = HeadParams(config)
    tensors = quantize_all(*qkv, params)
    inputs = IntegerInputs.of(tensors, tau, COUNTS, params, estimate_bits=8)
    kept = integer_attention(inputs, config, stages=True, estimate_bits=8)["keep"].numpy()
    got = run(qkv, tau, config, estimate_bits=8)
    assert got.kept.tolist() == kept.sum((0, 2, 3)).tolist()
    assert got.kept.tolist() != run(qkv, tau, config).kept.tolist()
    if rule == "differential":
        s = stages(tensors, tau, config)
        np.testing.assert_allclose(got.out.detach(), attend(kept, s), rtol=1e-5, atol=1e-6)
