"""What goes wrong on the emitted multi-head core is a typed error of the driver, and the next layer is right."""

import re

import pytest

from latte_hw.top_config import TopConfig
from sim import top_runner

TINY = TopConfig(head_dim=8, max_keys=16, keys_per_cycle=2, causal=True, cores=2)


@pytest.mark.parametrize(
    ("config", "pace"),
    [(TINY, "none"), (TINY, "0.5"), (TINY.replace(cores=1, stream_bits=32, head_dim=12, max_keys=18), "none")],
    ids=["free", "held up", "one core, odd rows"],
)
def test_malformed_packets(config: TopConfig, pace: str) -> None:
    result = top_runner.run(config, "sim.top_faults:malformed", idle=pace, stall=pace)["result"]
    assert len(result["raised"]) == 18


def test_refused_lengths() -> None:
    told = top_runner.run(TINY, "sim.top_faults:refusals")["result"]
    assert all("It was refused" in sentence for sentence in told.values())


def test_stalls_are_told_instead_of_a_hang() -> None:
    told = top_runner.run(TINY, "sim.top_faults:stalls")["result"]
    for stream, sentence in told.items():
        assert "nothing has moved for 0.00020256 s: 0 of 4 output packets have come" in sentence, stream
        assert "the core is busy" in sentence, stream
        assert "every packet that was sent has been taken" in sentence, stream
        stalled = {name: int(re.findall(rf"stalled_{name} (\d+)", sentence)[0]) for name in ("input", "output")}
        assert (stalled["input"] > 19_000, stalled["output"] > 19_000) == (stream != "o", stream == "o"), stream
        assert "errors: none" in sentence, stream


def test_bad_addresses() -> None:
    top_runner.run(TINY, "sim.top_faults:bad_addresses", idle="0.5", stall="0.5")


def test_arrays_that_do_not_fit() -> None:
    top_runner.run(TINY, "sim.top_faults:refused_by_the_driver")


@pytest.mark.parametrize("cores", [1, 2])
def test_soft_resets_at_random_moments(cores: int) -> None:
    top_runner.run(TINY.replace(cores=cores), "sim.top_faults:soft_resets", resets=25, moments=cores, idle="0.1")


def test_a_scenario_that_fails_is_told() -> None:
    with pytest.raises(AssertionError, match="unexpected keyword argument 'nonsense'"):
        top_runner.run(TINY, "sim.top_faults:bad_addresses", nonsense=1)
