"""Models of every family through the one door, made on the spot, in every mode."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from golden.attention import attention
from golden.nn.backend import LatteRuntime, LayerCall, StaticScales, attach, attention_modules, detach
from golden.nn.rules import ScoreTile
from golden.nn.runtime import Mode
from golden.nn.thresholds import Thresholds
from latte_hw.config import LatteConfig
from latte_hw.config.errors import LatteError

CONFIG = LatteConfig(head_dim=8, max_keys=64, prob_bits=12, out_fraction_bits=8)
BOTH = ("smooth_k", "rotate")
SIZES: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT: dict[str, Any] = {"vocab_size": 32, "max_position_embeddings": 64, "initializer_range": 0.2}
IMAGE: dict[str, Any] = {"image_size": 16, "patch_size": 4, "initializer_range": 0.2}
SPECIAL: dict[str, Any] = {"bos_token_id": None, "eos_token_id": None}
FAMILIES: dict[str, Callable[[], Any]] = {
    "llama": lambda: transformers.LlamaConfig(**{**SIZES, **TEXT, **SPECIAL, "num_key_value_heads": 2}),
    "gpt2": lambda: transformers.GPT2Config(
        vocab_size=32, n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.2,
        scale_attn_by_inverse_layer_idx=True, **SPECIAL,
    ),
    "bert": lambda: transformers.BertConfig(**SIZES, **TEXT),
    "vit": lambda: transformers.ViTConfig(**SIZES, **IMAGE),
    "deit": lambda: transformers.DeiTConfig(**SIZES, **IMAGE),
}  # fmt: skip
MODES: list[Mode] = ["float", "dense_int8", "soft", "integer"]


def make(family: str) -> tuple[transformers.PreTrainedModel, dict[str, torch.Tensor]]:
    """A frozen model of random weights and an input of two windows."""
    torch.manual_seed(1)
    model = transformers.AutoModel.from_config(FAMILIES[family]()).eval().requires_grad_(False)
    if family in ("vit", "deit"):
        return model, {"pixel_values": torch.randn(2, 3, 16, 16)}
    return model, {"input_ids": torch.randint(32, (2, 24))}


def attached(family: str, initial: float = 0.5, **options: Any) -> tuple[Any, dict[str, torch.Tensor], LatteRuntime]:
    model, inputs = make(family)
    runtime = LatteRuntime(options.pop("config", CONFIG), Thresholds(2, 4, initial=initial), BOTH, **options)
    attach(model, runtime)
    return model, inputs, runtime


@pytest.mark.parametrize("family", FAMILIES)
def test_float_mode_is_the_model_s_own_attention(family: str) -> None:
    model, inputs, runtime = attached(family, mode="float")
    with torch.no_grad():
        got = model(**inputs).last_hidden_state
        detach(model)
        assert model.config._attn_implementation == "sdpa"
        model.set_attn_implementation("eager")
        torch.testing.assert_close(got, model(**inputs).last_hidden_state, rtol=1e-5, atol=1e-5)
    assert runtime.statistics().keep_ratio == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_every_mode_runs_and_they_agree_where_they_must(family: str) -> None:
    """With every key kept, what is left between the modes is quantisation and rounding."""
    model, inputs, runtime = attached(family, initial=1e6)
    outputs = {}
    with torch.no_grad():
        for mode in MODES:
            with runtime.using(mode):
                outputs[mode] = model(**inputs).last_hidden_state
    scale = float(outputs["float"].std())
    assert float((outputs["dense_int8"] - outputs["float"]).std()) < 0.05 * scale
    assert float((outputs["soft"] - outputs["dense_int8"]).std()) < 0.02 * scale
    assert float((outputs["integer"] - outputs["soft"]).std()) < 0.005 * scale
    assert runtime.mode == "soft"
    assert runtime.statistics().keep_ratio == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_reach_every_threshold_and_nothing_else(family: str) -> None:
    model, inputs, runtime = attached(family)
    with torch.no_grad(), runtime.using("dense_int8"):
        teacher = model(**inputs).last_hidden_state
    (model(**inputs).last_hidden_state - teacher).square().sum().backward()
    gradient = runtime.thresholds.raw.grad
    assert gradient is not None
    assert gradient.isfinite().all()
    assert (gradient != 0).all()
    assert all(parameter.grad is None for parameter in model.parameters())
    runtime.thresholds.raw.grad = None
    model(**inputs)
    runtime.soft_keep().backward()
    gradient = runtime.thresholds.raw.grad
    assert gradient is not None
    assert (gradient[-1] > 0).all()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mode", ["soft", "integer"])
def test_statistics_and_integers_are_goldens(family: str, mode: Mode) -> None:
    """What the hardware would be given, through the NumPy golden model: the same counts, and outputs (`integer`)."""
    calls: list[LayerCall] = []
    model, inputs, runtime = attached(family, mode=mode, watch=calls.append)
    seen: list[torch.Tensor] = []
    modules = attention_modules(model)
    for module in modules:
        module.register_forward_hook(lambda *_: seen.append(torch.tensor(0)))
    with torch.no_grad():
        model(**inputs)
    assert len(seen) == len(calls) == len(modules) == 2
    statistics = runtime.statistics()
    runtime.watch = None
    for call in calls:
        assert call.causal == (family in ("llama", "gpt2"))
        assert call.inputs is not None
        config = CONFIG.replace(causal=call.causal)
        counters = sum(attention(call.inputs.to_file(window), config)["counters"] for window in range(2))
        assert statistics.valid[call.layer].tolist() == counters[:, 0].tolist()
        assert statistics.kept[call.layer].tolist() == counters[:, 2].tolist()
        if mode == "integer":
            golden = attention(call.inputs.to_file(1), config)
            step = golden["scale_v"].repeat(4 // len(golden["scale_v"])) / np.float32(2**8)
            expected = golden["out"].astype(np.float32) * step[:, None, None]
            np.testing.assert_array_equal(runtime.attend(call)[1], expected)
    assert 0 < statistics.keep_ratio < 1
    assert statistics.keep_ratios.shape == (2, 4)
    runtime.reset_statistics()
    assert runtime.statistics().valid.sum() == 0


@pytest.mark.parametrize("family", ["llama", "bert"])
@pytest.mark.parametrize("mode", MODES)
def test_padding_on_the_right_changes_nothing(family: str, mode: Mode) -> None:
    model, inputs, runtime = attached(family, mode=mode)
    ids = inputs["input_ids"]
    mask = torch.ones_like(ids)
    mask[1, 15:] = 0
    with torch.no_grad():
        alone = model(input_ids=ids[1:, :15]).last_hidden_state
        valid = runtime.statistics().valid.clone()
        first = model(input_ids=ids[:1]).last_hidden_state
        both = runtime.statistics().valid
        runtime.reset_statistics()
        batched = model(input_ids=ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(batched[1:, :15], alone, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(batched[:1], first, rtol=1e-4, atol=1e-4)
    assert torch.equal(runtime.statistics().valid, both)
    assert (both >= valid).all()


def test_soft_keep_is_of_the_last_forward_pass() -> None:
    model, inputs, runtime = attached("llama", initial=0.3)
    with pytest.raises(LatteError, match="no soft keep ratio before"):
        runtime.soft_keep()
    short = {"input_ids": inputs["input_ids"][:1, :8]}
    model(**inputs)
    long_ratio = float(runtime.soft_keep().detach())
    model(**short)
    short_ratio = float(runtime.soft_keep().detach())
    per_head = runtime.soft_keep_per_head()
    assert per_head.shape == (2, 4)
    assert float(per_head.mean().detach()) == pytest.approx(short_ratio)
    assert short_ratio > long_ratio > 0
    with torch.no_grad(), runtime.using("dense_int8"):
        model(**inputs)
    assert float(runtime.soft_keep().detach()) == short_ratio
    assert runtime.statistics().valid[0, 0] == 2 * 24 * 25 // 2 + 8 * 9 // 2
    runtime.kappa = None
    model(**inputs)
    with pytest.raises(LatteError, match="with a kappa"):
        runtime.soft_keep()


def test_stored_scales_use_nothing_of_the_window() -> None:
    calls: list[LayerCall] = []
    model, inputs, runtime = attached("llama", watch=calls.append)
    with torch.no_grad():
        model(**inputs)
    given = [call.inputs for call in calls]
    assert all(one is not None for one in given)
    scales = StaticScales(
        *(torch.stack([getattr(one, f"scale_{name}").amax(0) for one in given]) for name in "qkv"),
        k_mean=torch.stack([call.k.mean((0, 2)) for call in calls]),
    )
    stored = LatteRuntime(CONFIG, runtime.thresholds, BOTH, scales, mode="integer", watch=calls.append)
    attach(model, stored)
    calls.clear()
    with torch.no_grad():
        whole = model(**inputs).last_hidden_state
        part = model(input_ids=inputs["input_ids"][:, :10]).last_hidden_state
    assert torch.equal(whole[:, :10], part)  # causal, and nothing else of later tokens comes in
    assert calls[0].inputs is not None
    assert torch.equal(calls[0].inputs.scale_q, scales.q[0].expand(2, 4))
    with pytest.raises(LatteError, match="needs the stored means"):
        LatteRuntime(CONFIG, runtime.thresholds, BOTH, replace(scales, k_mean=None))


class TopKeys:
    """Keep the two best scores: a peer's rule that needs no threshold."""

    def keep(self, tile: ScoreTile) -> torch.Tensor:
        masked = tile.score.masked_fill(~tile.valid, -torch.inf)
        least = masked.topk(min(2, masked.shape[-1]), dim=-1).values[..., -1:]
        return (masked >= least) & tile.valid

    def margin(self, tile: ScoreTile) -> torch.Tensor:
        raise AssertionError(f"not called without kappa, but for {tile}")


@pytest.mark.parametrize("mode", ["soft", "integer"])
def test_a_rule_of_ones_own(mode: Mode) -> None:
    model, inputs, runtime = attached("gpt2", mode=mode, rule=TopKeys(), kappa=None)
    with torch.no_grad():
        model(**inputs)
    statistics = runtime.statistics()
    assert (statistics.kept >= 2 * (2 * 24 - 1)).all()  # more where scores tie
    assert (statistics.kept <= 2 * (2 * 24 - 1) + 12).all()


def test_what_does_not_fit_is_said() -> None:
    model, inputs = make("llama")
    with pytest.raises(LatteError, match=r"LlamaModel has 2 attention layers of 4 heads.*for 3 layers of 4: .*another"):
        attach(model, LatteRuntime(CONFIG, Thresholds(3, 4)))
    with pytest.raises(LatteError, match="has head_dim 8, not 16 as configured"):
        attach(model, LatteRuntime(CONFIG.replace(head_dim=16), Thresholds(2, 4)))
    with pytest.raises(LatteError, match="mode must be one of float, dense_int8, soft, integer, not 'hard'"):
        LatteRuntime(CONFIG, Thresholds(2, 4), mode="hard")  # type: ignore[arg-type]
    with pytest.raises(LatteError, match="kappa must be above 0, not -1"):
        LatteRuntime(CONFIG, Thresholds(2, 4), kappa=-1)
    with pytest.raises(LatteError, match="estimate_bits must be from 2 to 8, not 9"):
        LatteRuntime(CONFIG, Thresholds(2, 4), estimate_bits=9)
    with pytest.raises(LatteError, match="conditioning must be among"):
        LatteRuntime(CONFIG, Thresholds(2, 4), ("smooth",))
    attach(model, LatteRuntime(CONFIG, Thresholds(2, 4)))
    mask = torch.ones_like(inputs["input_ids"])
    mask[0, :3] = 0
    with pytest.raises(LatteError, match="pad on the right"):
        model(**inputs, attention_mask=mask)
    other = make("gpt2")[0]
    other.set_attn_implementation("latte")
    with pytest.raises(LatteError, match=r"has no runtime: attach\(\) one"):
        other(**inputs)
    rnn = transformers.AutoModel.from_config(
        transformers.MambaConfig(vocab_size=8, hidden_size=8, state_size=4, num_hidden_layers=1)
    )
    with pytest.raises(LatteError, match="no attention of a kind that LATTE knows"):
        attention_modules(rnn)


def test_detach_restores_and_attach_replaces() -> None:
    model, inputs, first = attached("bert", mode="integer")
    second = LatteRuntime(CONFIG, Thresholds(2, 4, initial=1e6), mode="soft")
    attach(model, second)
    with torch.no_grad():
        model(**inputs)
    assert first.statistics().valid.sum() == 0
    assert second.statistics().keep_ratio == 1
    detach(model)
    detach(model)
    with torch.no_grad():
        model(**inputs)
    assert second.statistics().valid.sum() == 2 * 2 * 4 * 24 * 24


def test_dropout_is_refused() -> None:
    model, inputs, _ = attached("bert")
    with pytest.raises(LatteError, match="no dropout"):
        model.train()(**inputs)
