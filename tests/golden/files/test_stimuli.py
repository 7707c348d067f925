"""Traces: reproducible, with the keep ratio that was asked for, and corners that are what their names say."""

import numpy as np
import pytest

from golden.attention import attention
from golden.files.stimuli import CORNERS, random_trace
from golden.files.tensors import from_arrays
from latte_hw.config import LatteConfig
from latte_hw.config.presets import PRESETS
from latte_hw.params import HeadParams

TINY = PRESETS["tiny"]


def test_same_seed_same_trace() -> None:
    first, again, other = (random_trace(TINY, seed, 2, 1, 5, 6) for seed in (3, 3, 4))
    assert first.keys() == again.keys() == {"q", "k", "v", "tau"}
    for name, x in first.items():
        np.testing.assert_array_equal(x, again[name])
        assert x.dtype == np.float32
    assert (first["q"] != other["q"]).any()


@pytest.mark.parametrize("rule", ["differential", "static"])
@pytest.mark.parametrize("keep", [0.1, 0.5])
def test_keep_ratio_is_near_the_target(rule: str, keep: float) -> None:
    config = PRESETS["smollm2-135m"].replace(rule=rule)
    counters = attention(from_arrays(random_trace(config, 1, 6, 2, 150, 200, keep), config), config)["counters"]
    ratios = counters[:, 2] / counters[:, 0]
    np.testing.assert_allclose(ratios, keep, atol=0.05)


@pytest.mark.parametrize("name", CORNERS)
@pytest.mark.parametrize(
    "config",
    [TINY, LatteConfig(max_keys=1, keys_per_cycle=1), PRESETS["minilm"], TINY.replace(rule="static", split="truncate")],
    ids=["tiny", "one-key", "minilm", "static"],
)
def test_every_corner_fits_every_configuration_and_repeats(name: str, config: LatteConfig) -> None:
    first, again = (CORNERS[name](config, 9) for _ in range(2))
    from_arrays(first, config)
    for array, x in first.items():
        np.testing.assert_array_equal(x, again[array])


def _run(name: str, config: LatteConfig = TINY) -> dict[str, np.ndarray]:
    return attention(from_arrays(CORNERS[name](config, 1), config), config)


def test_corners_are_what_they_say() -> None:
    assert not _run("zero_rows")["q8"][:, ::2].any()
    ties = _run("all_ties")
    assert ties["counters"][:, 0].tolist() == ties["counters"][:, 2].tolist()
    assert not ties["tau_int"].any()
    assert _run("one_key")["k8"].shape == (1, 1, 8)
    assert set(np.unique(_run("saturating")["q8"])) == {-128, 119}
    assert _run("partial_beat")["k8"].shape[1] % TINY.keys_per_cycle
    for name, sign in (("fewer_queries", -1), ("more_queries", 1)):
        got = _run(name)
        assert np.sign(got["q8"].shape[1] - got["k8"].shape[1]) == sign
    assert _run("full")["k8"].shape[1] == TINY.max_keys
    zero = _run("tau_zero")
    best = np.where(zero["keep"], zero["estimate"], -9999).max(axis=2, keepdims=True)
    assert (zero["estimate"] == best)[zero["keep"]].all()


@pytest.mark.parametrize(("rule", "name"), [("differential", "tau_maximum"), ("static", "tau_minimum")])
def test_corner_that_keeps_everything(rule: str, name: str) -> None:
    config = TINY.replace(rule=rule)
    counters = _run(name, config)["counters"]
    assert counters[:, 0].tolist() == counters[:, 2].tolist()
    assert CORNERS[name](config, 0)["tau_int"][0] in HeadParams(config).widths.threshold_range
