"""Every way to build the arithmetic, in Verilog, against the golden model at every stage and under every flow.

Each combination of split, reuse, rule and most significant bits is one small core; the other parameters are spread
over the combinations, so that each of their values meets several of them.
"""

from collections.abc import Callable, Iterator
from itertools import product

import pytest

from golden.files.stimuli import random_trace
from latte_hw.config import DotChoice, LatteConfig, Reuse, Rule, Split
from latte_hw.config.dot import DOT_CHOICES, REUSE
from sim.head.collect import Arrays
from sim.lib.streams import Flow

EqualToGolden = Callable[..., Arrays]

ARITHMETIC = [
    *product((2, 4), Split, Reuse, Rule),
    # With all 8 bits in the estimate there is no low part: split and reuse make no difference to the Verilog.
    *product((8,), [Split.BALANCED], [Reuse.THREE_TERM], Rule),
]
FAN_OUT_COPIES = {
    "keys_per_cycle": (1, 3, 4, 7, 16),
    "queries_per_scan": (1, 2, 1, 3, 4, 1, 2),
    "head_dim": (8, 12, 20),
    "prob_bits": (8, 4, 16, 11),
    "out_fraction_bits": (0, 5, 8),
}


REUSE_CHOICES = (None, DotChoice(table_dims=3), None, DotChoice(), DotChoice(table_queries=1))


def cores() -> Iterator[LatteConfig]:
    for number, (msb_bits, split, reuse, rule) in enumerate(ARITHMETIC):
        spread = {name: values[number % len(values)] for name, values in FAN_OUT_COPIES.items()}
        yield LatteConfig(
            msb_bits=msb_bits,
            split=split,
            reuse=reuse,
            rule=rule,
            max_keys=max(12, 2 * spread["keys_per_cycle"]),
            causal=(number // 8 + number // 4) % 2 == 0,
            kv_buffers=1 + number % 5 % 2,
            heads=3,
            **DOT_CHOICES[number // 2 % len(DOT_CHOICES)].fields(),
            **(reuse_choice.fields(REUSE) if (reuse_choice := REUSE_CHOICES[number % len(REUSE_CHOICES)]) else {}),
            **spread,
        )


def name(config: LatteConfig) -> str:
    where = f"P{config.keys_per_cycle}-B{config.queries_per_scan}"
    return f"M{config.msb_bits}-{config.split}-{config.reuse}-{config.rule}-{where}"


CORES = {name(config): config for config in cores()}
ON_EVERY_SIMULATOR = "M2-truncate-exact-differential-P4-B1", "M4-balanced-three_term-static-P7-B2"


def inputs(config: LatteConfig, seed: int) -> dict:
    """Four query heads on two K/V heads; the last beat of keys is not full unless it holds one key."""
    keys = config.max_keys - config.keys_per_cycle // 2
    return random_trace(config, seed, 4, 2, min(keys, 7), keys, keep=0.4)


@pytest.mark.parametrize(
    "flows", [(Flow.FREE, Flow.BOTH), pytest.param((Flow.IDLE, Flow.STALLED), marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("core", CORES)
def test_every_flow(core: str, flows: tuple[Flow, ...], small_simulator: str, equal_to_golden: EqualToGolden):
    config = CORES[core]
    for flow in flows:
        seed = list(Flow).index(flow)
        equal_to_golden(config, inputs(config, seed), simulator=small_simulator, flow=flow, back_to_back=seed % 2 == 1)


@pytest.mark.parametrize("core", ON_EVERY_SIMULATOR)
def test_simulators_agree(core: str, simulators_agree: Callable[..., None]):
    simulators_agree(CORES[core], inputs(CORES[core], 9))


def test_the_cores_cover_the_parameters():
    assert len(CORES) == 18
    fields = {
        "msb_bits": (2, 4, 8),
        "split": Split,
        "reuse": Reuse,
        "rule": Rule,
        "dot_choice": DOT_CHOICES,
        **FAN_OUT_COPIES,
    }
    for field, values in (fields | {"causal": (False, True), "kv_buffers": (1, 2)}).items():
        assert {getattr(config, field) for config in CORES.values()} == set(values), field
    met = {(config.rule, config.dot_choice) for config in CORES.values()}
    assert met == set(product(Rule, DOT_CHOICES))
    met = {(config.rule, config.keys_per_cycle) for config in CORES.values()}
    assert met == set(product(Rule, FAN_OUT_COPIES["keys_per_cycle"]))
