"""Decoding on the emitted multi-head core: K and V grow token by token, each token equals golden and keeps the law."""

from statistics import median
from typing import Any

import pytest

from latte_hw.layer_timing import LayerTiming
from latte_hw.top_config import TopConfig
from sim import top_runner

CONFIG = TopConfig(head_dim=8, max_keys=272, keys_per_cycle=8, causal=True, cores=2)
KV_HEADS = CONFIG.cores


def bound(step: dict[str, Any]) -> int:
    """The law for the core that has most to do."""
    heads = len(step["kept"])
    group = heads // KV_HEADS
    own = [slice(core * group, (core + 1) * group) for core in range(KV_HEADS)]
    law = LayerTiming(CONFIG).decode_cycles
    return max(law(heads, step["keys"], step["kept"][part], step["survivors"][part]) for part in own)


@pytest.mark.parametrize(
    ("heads", "tokens", "loose"), [(KV_HEADS, 256, 40), (3 * KV_HEADS, 48, 180)], ids=["lone", "groups"]
)
def test_every_token_is_exact_and_within_the_law(heads: int, tokens: int, loose: int) -> None:
    """A lone query of each core for 256 tokens behind a prompt of 16; groups of three for the last 48 of them."""
    shape = {"heads": heads, "kv_heads": KV_HEADS, "prompt": CONFIG.max_keys - tokens, "tokens": tokens}
    steps = top_runner.run(CONFIG, "sim.top_layers:decoding", **shape)["result"]["steps"]
    assert [step["keys"] for step in steps] == list(range(CONFIG.max_keys - tokens + 1, CONFIG.max_keys + 1))
    slack = [bound(step) - step["cycles"] for step in steps]
    assert min(slack) >= 0
    assert median(slack) <= loose  # the law says something: queries that overlap are counted by their slowest arm
    assert max(max(step["kept"]) for step in steps) > 3 * LayerTiming(CONFIG).params.query_prepare_cycles


@pytest.mark.parametrize("pace", ["0.1", "0.5"])
def test_tokens_are_exact_when_ports_are_held_up(pace: str) -> None:
    shape = {"heads": 2 * KV_HEADS, "kv_heads": KV_HEADS, "prompt": 3, "tokens": 21}
    result = top_runner.run(CONFIG, "sim.top_layers:decoding", idle=pace, stall=pace, **shape)["result"]
    assert len(result["steps"]) == 21
