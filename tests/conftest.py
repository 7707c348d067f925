"""Fixtures that several tests share."""

import re
from collections import Counter
from pathlib import Path

import pytest

LARGE_CORE = re.compile(r"\[(?:.*-)?(smollm2-135m|gpt2|deit-b16-384|minilm-static|minilm|long-4096)[-\]]")
"""A test of one large core: its parameters name it."""

SHARED = re.compile(
    r"^(tests/(?:docs/test_integration_page|sim/test_native|sim/rtl/test_(?:corners|together|top_faults|top_decode))\.py)"
)
"""Modules whose tests share what takes a minute to make."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """All tests of one large core go to one worker, which then emits and builds it once, and so do those of a module
    that shares as much; every other test is alone.

    The groups of pytest-xdist itself (3.8) have no effect under pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class OneWorkerPerBuild(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            scope = LARGE_CORE.search(nodeid) or SHARED.match(nodeid)
            return scope.group(1) if scope else nodeid

    return OneWorkerPerBuild(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`each_choice`: as many combinations of a test's parameters as meet every value once; the others are `slow`."""
    combinations: dict[str, list[pytest.Function]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("each_choice"):
            combinations.setdefault(item.nodeid.split("[")[0], []).append(item)
    for tests in combinations.values():
        for test in set(tests) - set(each_choice(tests)):
            test.add_marker(pytest.mark.slow)


def each_choice(tests: list[pytest.Function]) -> list[pytest.Function]:
    """Greedy: whatever meets most values that were not met, and of these the values that were met least often."""
    values = {test: {(name, repr(value)) for name, value in test.callspec.params.items()} for test in tests}
    met: Counter[tuple[str, str]] = Counter()
    taken: list[pytest.Function] = []
    while missing := set().union(*values.values()) - met.keys():
        left = [test for test in tests if test not in taken]
        best = min(left, key=lambda test: (-len(values[test] & missing), sum(met[value] for value in values[test])))
        met.update(values[best])
        taken.append(best)
    return taken


@pytest.fixture(scope="session")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `llama`, a `gpt2` and a `bert` of random weights, saved as people save them, and `text.txt`.

    Heads have 8 dimensions; `llama` has 6 query heads on 2 K/V heads and 3 layers, the others 4 heads and 2 layers.
    """
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    llama = transformers.LlamaConfig(
        vocab_size=32, hidden_size=48, intermediate_size=32, num_hidden_layers=3, num_attention_heads=6,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    gpt2 = transformers.GPT2Config(
        vocab_size=32, n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.5,
        scale_attn_by_inverse_layer_idx=True,
    )  # fmt: skip
    bert = transformers.BertConfig(
        vocab_size=32, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    words = ["the", "light", "turns", "and", "every", "ship", "at", "sea", "can", "count", "its", "flashes"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(["?", *words])}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    root = tmp_path_factory.mktemp("models")
    for config in (llama, gpt2, bert):
        torch.manual_seed(1)
        transformers.AutoModel.from_config(config).save_pretrained(root / config.model_type)
        saved = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?")
        saved.save_pretrained(root / config.model_type)
    (root / "text.txt").write_text(" ".join(words[i * i % 11] for i in range(60)))
    return root
