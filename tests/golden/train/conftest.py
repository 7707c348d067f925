"""A small language model, its tokenizer and a text with structure, made on the spot."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from golden.train.tokens import TokenFile, split_tokens

VOCABULARY = 48
WINDOW = 32


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small models gain nothing by threads, and threads that wait for each other on busy cores cost much."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model` (a Llama: 2 layers, 4 query heads on 2 K/V heads of 8 dimensions) and `text.txt`."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    root = tmp_path_factory.mktemp("train")
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_config(config).half()
    for layer in model.model.layers:  # heads that look far and heads that look close: one threshold does not suit all
        sharpness = torch.tensor([0.25, 0.5, 1, 2]).repeat_interleave(8)[:, None]
        layer.self_attn.q_proj.weight.data *= sharpness.half()
    model.save_pretrained(root / "model")
    words = {word: i for i, word in enumerate(["?", *(f"w{i}" for i in range(1, VOCABULARY))])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?").save_pretrained(root / "model")
    numbers = np.random.default_rng(0).integers(1, VOCABULARY, 2000)
    (root / "text.txt").write_text(" ".join(f"w{i}" for i in numbers))
    return root


@pytest.fixture(scope="session")
def tokens(folder: Path) -> TokenFile:
    """48 chunks of 64 tokens that the model itself said, so that what it loses shows; a quarter is held out."""
    import torch

    from golden.models.loading import load_language_model

    model, _ = load_language_model(str(folder / "model"))
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1, VOCABULARY, (48, 1), generator=generator)
    with torch.no_grad():
        while ids.shape[1] < 64:
            said = model(ids, use_cache=False).logits[:, -1].softmax(-1)
            ids = torch.cat([ids, torch.multinomial(said, 1, generator=generator)], dim=1)
    return split_tokens(
        ids.flatten().numpy(), chunk=64, share=0.25, seed=0, tokenizer="t", source="model", sha256="0" * 64
    )
