"""What goes wrong on the emitted multi-head core is a typed error of the driver, and the next layer is right."""

import re
import shutil

import pytest

from latte_hw.config.top import TopConfig
from sim.top import runner as top_runner

TINY = TopConfig(head_dim=8, max_keys=16, keys_per_cycle=2, causal=True, cores=2)


@pytest.mark.parametrize(
    ("config", "pace"),
    [
        (TINY, "none"),
        pytest.param(TINY, "0.5", marks=pytest.mark.slow),
        (TINY.replace(cores=1, stream_bits=32, head_dim=12, max_keys=18), "none"),
    ],
    ids=["free", "stalled", "one core, odd rows"],
)
def test_malformed_packets(config: TopConfig, pace: str) -> None:
    result = top_runner.run(config, "sim.top.faults:malformed", idle=pace, stall=pace)["result"]
    assert len(result["raised"]) == 18


def test_packets_that_end_in_a_beat_without_bytes() -> None:
    sent = top_runner.run(TINY, "sim.top.faults:ends_without_bytes", idle="0.5", stall="0.5")["result"]["sent"]
    assert sent == 2 * (4 + 2 + 2)


def test_the_driver_sleeps_until_irq() -> None:
    """Slow streams, so that there is something to wait for."""
    top_runner.run(TINY, "sim.top.interrupts:completion", idle="0.9", stall="0.9")


LAYER_PACKETS = TINY.replace(packets="layer", head_dim=12, max_keys=18, stream_bits=128)
"""A packet per stream and layer; a head may begin in the middle of a beat."""


@pytest.mark.parametrize(
    ("scenario", "pace", "arguments"),
    [
        ("soak_layers:play", "0.1", {"elements": 12_000, "draws": 3}),
        ("faults:malformed", "0.5", {}),
        ("faults:ends_without_bytes", "none", {}),
        ("faults:changes_while_busy", "none", {}),
        ("resets:resets", "0.1", {"resets": 15, "draws": 5}),
        ("interrupts:completion", "0.9", {}),
    ],
    ids=str,
)
def test_packets_of_whole_layers(scenario: str, pace: str, arguments: dict[str, int]) -> None:
    top_runner.run(LAYER_PACKETS, f"sim.top.{scenario}", idle=pace, stall=pace, **arguments)


@pytest.mark.parametrize("pace", ["none", "0.5"])
def test_misplaced_ends_of_packets(pace: str) -> None:
    reported = top_runner.run(TINY, "sim.top.faults:misplaced_ends", idle=pace, stall=pace)["result"]
    assert set(reported) == {f"{stream} {kind}" for stream in "qkv" for kind in ("cut", "merged")}


@pytest.mark.parametrize("pace", ["none", "0.5"])
def test_changes_while_busy(pace: str) -> None:
    reported = top_runner.run(TINY, "sim.top.faults:changes_while_busy", idle=pace, stall=pace)["result"]
    assert set(reported) == {"layer_heads", "layer_lengths", "causal_offset", "control"}


def test_refused_lengths() -> None:
    reported = top_runner.run(TINY, "sim.top.faults:refusals")["result"]
    assert all("It was refused" in sentence for sentence in reported.values())


def test_stalls_are_reported_instead_of_a_hang() -> None:
    reported = top_runner.run(TINY, "sim.top.faults:stalls")["result"]
    for stream, sentence in reported.items():
        assert "nothing has moved for 0.00020256 s: 0 of 4 output packets have come" in sentence, stream
        assert "the core is busy" in sentence, stream
        assert "every packet that was sent has been taken" in sentence, stream
        stalled = {name: int(re.findall(rf"stalled_{name} (\d+)", sentence)[0]) for name in ("input", "output")}
        assert (stalled["input"] > 19_000, stalled["output"] > 19_000) == (stream != "o", stream == "o"), stream
        assert "errors: none" in sentence, stream


def test_bad_addresses() -> None:
    top_runner.run(TINY, "sim.top.faults:bad_addresses", idle="0.5", stall="0.5")


def test_arrays_that_do_not_fit() -> None:
    top_runner.run(TINY, "sim.top.faults:refused_by_the_driver")


@pytest.mark.parametrize("pace", ["none", "0.1", "0.5"])
def test_resets_at_random_moments(pace: str) -> None:
    """Soft and hard ones, alone and back to back: 75 altogether; `make soak` has 1,170."""
    reported = top_runner.run(TINY, "sim.top.resets:resets", resets=25, draws=1, idle=pace, stall=pace)["result"]
    assert set(reported["kinds"]) == {"soft", "hard", "back to back"}
    assert {"load", "output"} <= set(reported["moments"])


def test_resets_of_one_core() -> None:
    top_runner.run(TINY.replace(cores=1), "sim.top.resets:resets", resets=25, draws=2, idle="0.1")


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus is not installed")
def test_resets_by_an_active_low_port_in_icarus() -> None:
    config = TINY.replace(cores=1, reset="aresetn")
    reported = top_runner.run(config, "sim.top.resets:resets", simulator="icarus", resets=5, draws=3)["result"]
    assert reported["kinds"]["hard"] > 0


def test_a_scenario_that_fails_is_reported() -> None:
    with pytest.raises(AssertionError, match="unexpected keyword argument 'nonsense'"):
        top_runner.run(TINY, "sim.top.faults:bad_addresses", nonsense=1)
