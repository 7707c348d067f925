"""Named configurations: the attention shapes of models that people run, and one small enough to read."""

from latte_hw.config import LatteConfig

PRESETS: dict[str, LatteConfig] = {
    "tiny": LatteConfig(head_dim=8, max_keys=32, keys_per_cycle=2, causal=True, heads=4),
    "smollm2-135m": LatteConfig(head_dim=64, max_keys=1024, keys_per_cycle=8, causal=True, heads=9),
    "gpt2": LatteConfig(head_dim=64, max_keys=1024, keys_per_cycle=8, causal=True, heads=12),
    # 577 tokens, rounded up to what 16 banks divide, so that keys_per_cycle can be chosen freely.
    "deit-b16-384": LatteConfig(head_dim=64, max_keys=592, keys_per_cycle=8, causal=False, heads=12),
    "minilm": LatteConfig(head_dim=32, max_keys=512, keys_per_cycle=8, causal=False, heads=12),
    "long-4096": LatteConfig(head_dim=64, max_keys=4096, keys_per_cycle=16, causal=True, heads=32),
}
"""Preset name to configuration. `tiny` is for tests and first looks; `long-4096` is for long contexts."""


def preset(name: str) -> LatteConfig:
    """The configuration called ``name``; an unknown name raises :class:`ValueError` that lists the known ones."""
    try:
        return PRESETS[name]
    except KeyError:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}, not {name!r}") from None
