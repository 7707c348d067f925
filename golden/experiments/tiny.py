"""A tiny language model and a text for it, made on the spot: what `--quick` runs on where no model is given."""

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


def tiny_tokens(model: PreTrainedModel, seed: int, chunks: int = 16) -> TokenFile:
    """Tokens that the tiny model itself said, so that what pruning loses shows; split into training and held out."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(VOCABULARY, (chunks, 1), generator=generator)
    last, past = ids, None
    with torch.no_grad():
        while ids.shape[1] < CHUNK:
            answer = model(last, past_key_values=past, use_cache=True)
            last = torch.multinomial(answer.logits[:, -1].softmax(-1), 1, generator=generator)
            ids, past = torch.cat([ids, last], dim=1), answer.past_key_values
    return split_tokens(
        ids.flatten().numpy(), chunk=CHUNK, share=0.25, seed=seed, tokenizer="none", source="what the model said",
        sha256="",
    )  # fmt: skip
