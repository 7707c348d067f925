"""Named corners of the input space at every stage, on small and on full-size cores of both rules."""

from collections.abc import Callable

import numpy as np
import pytest

from golden.files.stimuli import CORNERS, Trace, random_trace
from latte_hw.config import LatteConfig, Rule
from latte_hw.config.presets import preset
from sim.head.collect import Arrays

SMALL = {
    "differential": preset("tiny").replace(keys_per_cycle=4, causal=False),
    "static": preset("tiny").replace(keys_per_cycle=4, rule=Rule.STATIC),
}
FULL_SIZE = {
    "smollm2-135m": preset("smollm2-135m"),
    "minilm-static": preset("minilm").replace(rule=Rule.STATIC, causal=True),
}


def offset_below_zero(config: LatteConfig, seed: int) -> Trace:
    """As many queries as keys, but under `causal` the first three see no key."""
    return offset_above_the_keys(config, seed) | {"causal_offset": np.array(-3)}


def offset_above_the_keys(config: LatteConfig, seed: int) -> Trace:
    """Every query sees every key, causal or not."""
    tokens = 2 * config.keys_per_cycle + 1
    return random_trace(config, seed, 2, 1, tokens, tokens) | {"causal_offset": np.array(config.max_keys)}


EVERY_CORNER = CORNERS | {corner.__name__: corner for corner in (offset_below_zero, offset_above_the_keys)}


@pytest.mark.parametrize("flow", ["free", "both"])
@pytest.mark.parametrize("corner", EVERY_CORNER)
@pytest.mark.parametrize("core", SMALL)
def test_small_core(core: str, corner: str, flow: str, equal_to_golden: Callable[..., Arrays]):
    equal_to_golden(SMALL[core], EVERY_CORNER[corner](SMALL[core], 1), flow=flow)


@pytest.mark.parametrize("corner", [*CORNERS][::4])
@pytest.mark.parametrize("core", SMALL)
def test_small_core_under_cocotb(core: str, corner: str, small_simulator: str, equal_to_golden: Callable[..., Arrays]):
    equal_to_golden(SMALL[core], EVERY_CORNER[corner](SMALL[core], 1), small_simulator, flow="both")


@pytest.mark.parametrize("flow", ["free", "both"])
@pytest.mark.parametrize("corner", EVERY_CORNER)
@pytest.mark.parametrize("core", ["smollm2-135m", pytest.param("minilm-static", marks=pytest.mark.slow)])
def test_full_size_core(core: str, corner: str, flow: str, equal_to_golden: Callable[..., Arrays]):
    equal_to_golden(FULL_SIZE[core], EVERY_CORNER[corner](FULL_SIZE[core], 2), flow=flow)


def test_rows_without_any_key_are_among_them(equal_to_golden: Callable[..., Arrays]):
    """What the corners of causal offsets are for; such a row comes out as zeros."""
    config = SMALL["static"]
    for corner in ("one_key", "more_queries", "offset_below_zero"):
        got = equal_to_golden(config, EVERY_CORNER[corner](config, 3), simulator="amaranth")
        empty = ~got["keep"].any(axis=2)
        assert empty.any(), corner
        assert not empty.all(), corner
        assert (got["out"][empty] == 0).all(), corner
