"""A tiny language model and a text for it, made on the spot: what `--quick` runs on where no model is given."""

import numpy as np
import torch
import transformers
from transformers import PreTrainedModel

from golden.train.tokens import TokenFile, split_tokens

VOCABULARY = 64
CHUNK = 192


def tiny_model(seed: int) -> tuple[PreTrainedModel, str]:
    """A Llama of random weights with 2 layers, 4 query heads on 2 K/V heads and head_dim 16."""
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=CHUNK, initializer_range=0.25, bos_token_id=None,
        eos_token_id=None,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: PreTrainedModel = transformers.AutoModelForCausalLM.from_config(config)
    return model.eval(), "a tiny model of random weights"


def tiny_tokens(seed: int, chunks: int = 16) -> TokenFile:
    """Tokens of a random walk in which every token has four likely successors, split into training and held out."""
    rng = np.random.default_rng(seed)
    successors = rng.integers(0, VOCABULARY, (VOCABULARY, 4))
    ids = np.zeros(chunks * CHUNK, np.int64)
    for place in range(1, len(ids)):
        ids[place] = successors[ids[place - 1], rng.integers(4)]
    return split_tokens(
        ids, chunk=CHUNK, share=0.25, seed=seed, tokenizer="none", source="a seeded random walk", sha256=""
    )
