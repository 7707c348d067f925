"""Decoding on the emitted multi-head core: K and V grow by a token, each token equals golden and keeps the bound."""

from statistics import median
from typing import Any

import pytest

from latte_hw.config.top import TopConfig
from latte_hw.system.latency import LayerTiming
from sim.top import runner as top_runner

CONFIG = TopConfig(head_dim=8, max_keys=272, keys_per_cycle=8, causal=True, cores=2)
PAIRS = CONFIG.replace(kept_per_cycle=2)
KV_HEADS = CONFIG.cores


def bound(config: TopConfig, step: dict[str, Any]) -> int:
    """The bound for the core that has most to do."""
    heads = len(step["kept"])
    group = heads // KV_HEADS
    own = [slice(core * group, (core + 1) * group) for core in range(KV_HEADS)]
    cycles = LayerTiming(config).decode_cycles
    return max(cycles(heads, step["keys"], step["kept"][part], step["survivors"][part]) for part in own)


def decoded(config: TopConfig, heads: int, tokens: int) -> list[dict[str, Any]]:
    """The last tokens that the core has room for, one by one behind a prompt, each held against golden."""
    shape = {"heads": heads, "kv_heads": KV_HEADS, "prompt": config.max_keys - tokens, "tokens": tokens}
    steps: list[dict[str, Any]] = top_runner.run(config, "sim.top.layers:decoding", **shape)["result"]["steps"]
    assert [step["keys"] for step in steps] == list(range(config.max_keys - tokens + 1, config.max_keys + 1))
    assert max(max(step["kept"]) for step in steps) > 3 * LayerTiming(config).params.scan_dot.prepare_cycles
    return steps


@pytest.mark.parametrize(
    ("heads", "tokens", "loose"), [(KV_HEADS, 256, 40), (3 * KV_HEADS, 48, 180)], ids=["single", "groups"]
)
def test_every_token_is_exact_and_within_the_bound(heads: int, tokens: int, loose: int) -> None:
    """A single query of each core for 256 tokens behind a prompt of 16; groups of three for the last 48 of them."""
    slack = [bound(CONFIG, step) - step["cycles"] for step in decoded(CONFIG, heads, tokens)]
    assert min(slack) >= 0
    assert median(slack) <= loose  # the bound says something: queries that overlap are counted by their slowest arm


def beyond_a_cycle_per_kept_key(config: TopConfig, steps: list[dict[str, Any]]) -> list[int]:
    """Cycles of each token beyond ⌈keys / P⌉ + kept keys + the constant."""
    constant = LayerTiming(config).decode_constant(KV_HEADS)
    beats = LayerTiming(config).params.widths.beats
    return [step["cycles"] - beats(step["keys"]) - max(step["kept"]) - constant for step in steps]


@pytest.mark.parametrize("tokens", [96, pytest.param(256, marks=pytest.mark.slow)])
def test_with_two_kept_keys_per_cycle_a_token_pays_once_for_each(tokens: int) -> None:
    """Completing its score and weighting it take half a cycle each."""
    steps = decoded(PAIRS, KV_HEADS, tokens)
    assert all(step["cycles"] <= bound(PAIRS, step) for step in steps)
    beyond = beyond_a_cycle_per_kept_key(PAIRS, steps)
    assert max(beyond) <= 0
    assert median(beyond) >= -LOOSE  # the bound says something
    assert max(max(step["kept"]) for step in steps) > 4 * LOOSE


LOOSE = 24
"""Cycles by which the constant may be too cautious."""


@pytest.mark.slow
def test_with_one_kept_key_per_cycle_it_pays_twice() -> None:
    """So the bound above is one that a core can miss."""
    beyond = beyond_a_cycle_per_kept_key(CONFIG, decoded(CONFIG, KV_HEADS, 48))
    assert max(beyond) > LOOSE


@pytest.mark.parametrize(
    ("config", "pace"),
    [pytest.param(CONFIG, "0.1", marks=pytest.mark.slow), (PAIRS, "0.5")],
    ids=["one kept per cycle", "two kept per cycle"],
)
def test_tokens_are_exact_when_ports_are_stalled(config: TopConfig, pace: str) -> None:
    shape = {"heads": 2 * KV_HEADS, "kv_heads": KV_HEADS, "prompt": 3, "tokens": 21}
    result = top_runner.run(config, "sim.top.layers:decoding", idle=pace, stall=pace, **shape)["result"]
    assert len(result["steps"]) == 21
