"""`latte capture` on small models made on the spot: what it takes, calibrates and writes, and what it refuses."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
import typer
from typer.testing import CliRunner

from golden.attention import attention
from golden.blocks.conditioning import rotate, smooth_k
from golden.files.npz import read_npz
from golden.files.tensors import load
from golden.models.attention_tap import tap_attention
from golden.models.capture import Captured, CaptureRequest, capture_tensors
from golden.models.commands import parse_numbers, register
from golden.models.loading import load_text_model
from latte_hw.config import LatteConfig
from latte_hw.config.errors import LatteError

TOKENS = 48


@pytest.fixture
def capture(small_models: Path):
    """Capture from one of the small models."""

    def run(model: str, layers: tuple[int, ...] = (0,), **changes) -> Captured:
        fields = {"text": small_models / "text.txt", "tokens": TOKENS, **changes}
        return capture_tensors(CaptureRequest(model=str(small_models / model), layers=layers, **fields), say=print)

    return run


def attend(captured: Captured, causal: bool) -> np.ndarray:
    """Float64 attention of every head from what was captured, shape (heads, tokens, head_dim)."""
    group = len(captured.q) // len(captured.k)
    q, k, v = (x.astype(np.float64) for x in (captured.q, captured.k.repeat(group, 0), captured.v.repeat(group, 0)))
    scores = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1])
    if causal:
        scores[:, ~np.tri(q.shape[1], dtype=bool)] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


PROJECTION = {  # the module that receives the attention output of layer 1
    "llama": lambda model: model.layers[1].self_attn.o_proj,
    "gpt2": lambda model: model.h[1].attn.c_proj,
    "bert": lambda model: model.encoder.layer[1].attention.output.dense,
}


@pytest.mark.parametrize("name", PROJECTION)
def test_captured_tensors_give_what_the_model_computed(small_models, capture, name):
    """Rotary embedding, scaling, causality and grouping all show in the model's own attention output."""
    loaded = load_text_model(str(small_models / name))
    seen = []
    PROJECTION[name](loaded.model).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        loaded.model(
            input_ids=torch.tensor([loaded.tokenizer((small_models / "text.txt").read_text())["input_ids"][:TOKENS]])
        )
    captured = capture(name, layers=(1,))
    assert captured.causal == (name != "bert")
    expected = attend(captured, captured.causal).swapaxes(0, 1).reshape(TOKENS, -1)
    np.testing.assert_allclose(seen[0][0].numpy(), expected, atol=1e-4)


def test_grouped_heads_keep_their_kv_heads(capture):
    everything, some = capture("llama", layers=(0, 2)), capture("llama", layers=(0, 2), heads=(3, 4, 5))
    assert everything.q.shape == (12, TOKENS, 8)
    assert everything.k.shape == everything.v.shape == (4, TOKENS, 8)
    np.testing.assert_array_equal(some.q, everything.q[[3, 4, 5, 9, 10, 11]])
    np.testing.assert_array_equal(some.k, everything.k[[1, 3]])
    assert some.labels[3] == "layer 2 head 3"


def test_one_query_head_of_each_group(capture):
    captured = capture("llama", heads=(0, 3))
    assert (len(captured.q), len(captured.k)) == (2, 2)


@pytest.mark.parametrize("kind", [transformers.ViTConfig, transformers.DeiTConfig])
def test_the_tap_does_not_care_for_text(kind):
    config = kind(
        hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=16, patch_size=4
    )
    torch.manual_seed(1)
    model = transformers.AutoModel.from_config(config).eval()
    pixels = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        before = model(pixel_values=pixels).last_hidden_state
        with tap_attention(model, frozenset({1})) as tap:
            within = model(pixel_values=pixels).last_hidden_state
    assert torch.allclose(before, within, atol=1e-5)
    assert (tap.layers, list(tap.calls), tap.calls[1].causal) == (2, [1], False)
    assert tap.calls[1].q.shape == (4, 16 + (1 if kind is transformers.ViTConfig else 2), 8)


@pytest.mark.parametrize(("name", "keep"), [("llama", 0.2), ("gpt2", 0.4), ("bert", 0.1)])
def test_thresholds_keep_the_wanted_share(capture, tmp_path, name, keep):
    """The golden model, given the written file, keeps exactly the share that was reported."""
    captured = capture(name, layers=(0, 1), keep=keep)
    captured.write(tmp_path / "trace.npz")
    config = LatteConfig(head_dim=8, max_keys=64, causal=captured.causal)
    kept = attention(load(tmp_path / "trace.npz", config), config)["keep"]
    pairs = TOKENS * (TOKENS + 1) / 2 if captured.causal else TOKENS**2
    np.testing.assert_allclose(kept.sum(axis=(1, 2)) / pairs, captured.calibration.keep_ratio, rtol=1e-12)
    assert abs(captured.calibration.keep_ratio - keep).max() < 0.06  # as fine as a 4-bit estimate of 8 elements allows


def test_the_written_file_says_where_it_comes_from(small_models, capture, tmp_path):
    captured = capture("llama", smooth_k=True, rotate=True, command="latte capture ...")
    captured.write(tmp_path / "a.npz")
    captured.write(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    arrays = read_npz(tmp_path / "a.npz")
    assert list(arrays["conditioning"]) == ["smooth_k", "rotate"]
    assert {line.split(":")[0] for line in arrays["source"]} == {
        "model", "text", "tokens", "layers", "heads", "causal", "command",
    }  # fmt: skip
    assert not any(str(small_models) in line for line in arrays["source"])
    raw = capture("llama")
    np.testing.assert_allclose(arrays["k"], rotate(smooth_k(raw.k)), atol=1e-5)
    np.testing.assert_allclose(arrays["q"], rotate(raw.q), atol=1e-5)


def refuse(sentence: str):
    """Expect a LatteError of exactly this sentence."""
    return pytest.raises(LatteError, match=f"^{re.escape(sentence)}$")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"layers": (0, 3)}, "--layers must be from 0 to 2 for this model, not 3"),
        ({"heads": (5, 6)}, "--heads must be from 0 to 5 for this model, not 6"),
        (
            {"heads": (0, 1, 3)},
            (
                "--heads must take equally many query heads of every K/V head: in this model 3 query heads in sequence "
                "share one, so 0, 1, 3 is uneven"
            ),
        ),
        ({"tokens": 65}, "--tokens must be at most 64 for this model, not 65"),
        ({"keep": 0.0}, "--keep must be above 0 and at most 1, not 0"),
        ({"keep": 1.5}, "--keep must be above 0 and at most 1, not 1.5"),
        ({"text": Path("nothing.txt")}, "text file nothing.txt cannot be read: No such file or directory"),
    ],
)
def test_requests_that_do_not_fit_the_model(capture, changes, sentence):
    with refuse(sentence):
        capture("llama", **changes)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b" \n\n", "text file {} is empty"),
        (b"\xff\xfe\xfa", "text file {} is not UTF-8 text"),
        (b"the light", "text file {} gives 2 tokens, fewer than --tokens 48"),
    ],
)
def test_unusable_texts(capture, tmp_path, content, sentence):
    text = tmp_path / "text.txt"
    text.write_bytes(content)
    with refuse(sentence.format(text)):
        capture("llama", text=text)


@pytest.mark.parametrize(("text", "numbers"), [("2,12,25", (2, 12, 25)), ("3-5", (3, 4, 5)), ("7,0-1,1", (0, 1, 7))])
def test_lists_of_numbers(text, numbers):
    assert parse_numbers("--layers", text) == numbers


@pytest.mark.parametrize("text", ["", "a", "1,", "-1", "3-", "5-2", "0-999999999", "1.5"])
def test_lists_that_are_none(text):
    with refuse(f"--layers takes numbers and ranges such as 2,12 or 0-3, not {text!r}"):
        parse_numbers("--layers", text)


def test_the_command_writes_and_reports(small_models, tmp_path):
    app = typer.Typer()
    register(app)
    output = tmp_path / "trace.npz"
    arguments = ["--model", str(small_models / "llama"), "--text", str(small_models / "text.txt"), "-o", str(output)]
    result = CliRunner().invoke(app, [*arguments, "--layers", "0-1", "--heads", "0-2", "--tokens", "48", "--json"])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert (summary["heads"], summary["kv_heads"], summary["bytes"]) == (6, 2, output.stat().st_size)
    assert "loading" in result.stderr
    result = CliRunner().invoke(app, [*arguments, "--tokens", "48"])
    assert "6 query heads on 2 K/V heads, 48 tokens, head_dim 8, causal" in result.stdout


def test_the_command_names_a_missing_folder_before_it_works(tmp_path):
    app = typer.Typer()
    register(app)
    arguments = ["--model", "./nothing", "--text", "none", "-o", str(tmp_path / "no" / "trace.npz")]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, LatteError)
    assert "does not exist; create it first" in str(result.exception)
