"""Multiplications in the Verilog: those that take a DSP block, and no other product leaves the choice to a tool."""

import re

import pytest

from latte_hw.config import CoreConfig, DenseConfig, Dot, LatteConfig, Reuse
from latte_hw.config.top import TopConfig
from latte_hw.emit import head as emit
from latte_hw.emit import top as emit_top
from latte_hw.emit.packages.core_files import TOP
from latte_hw.system.top import LatteTop

SMALL = LatteConfig(head_dim=8, max_keys=32, keys_per_cycle=2)
CONFIGURATIONS = {
    "tables": SMALL,
    "narrow weights": SMALL.replace(prob_bits=5),
    "two kept keys per cycle": SMALL.replace(kept_per_cycle=2),
    "three queries per scan": SMALL.replace(queries_per_scan=3),
    "multipliers of 4 bits": SMALL.replace(dot=Dot.MULTIPLIERS, reuse=Reuse.EXACT),
    "multipliers of 6 bits": SMALL.replace(dot=Dot.MULTIPLIERS, msb_bits=6),
    "multipliers for reuse alone": SMALL.replace(reuse_dot=Dot.MULTIPLIERS, msb_bits=2),
    "multipliers of 8 bits": SMALL.replace(dot=Dot.MULTIPLIERS, msb_bits=8),
    "dense": DenseConfig(head_dim=8, max_keys=32, queries_per_scan=2),
    "dense with multipliers": DenseConfig(head_dim=8, max_keys=32, queries_per_scan=2, dot=Dot.MULTIPLIERS),
}


def multiplications(text: str, top: str) -> int:
    """How often the Verilog multiplies, each module as often as it is instantiated."""
    own: dict[str, int] = {}
    instances: dict[str, list[str]] = {}
    for name, body in re.findall(r"^module (\S+) ?\(.*?\);\n(.*?)^endmodule", text, re.MULTILINE | re.DOTALL):
        own[name] = len(re.findall(r"^  assign .* \* ", body, re.MULTILINE))
        instances[name] = re.findall(r"^  (\\?\S+) +\\?\S+ +\(\n    \.", body, re.MULTILINE)

    def with_parts(name: str) -> int:
        return own[name] + sum(with_parts(one) for one in instances[name])

    return with_parts(top)


@pytest.mark.parametrize("config", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_the_verilog_multiplies_as_often_as_the_description_says(config: CoreConfig):
    head = emit.build_head(config)
    described = emit.describe(head)["dsp_products"]
    assert multiplications(emit.to_verilog(head), emit.top_of(head)) == sum(one["count"] for one in described)


def test_the_system_around_the_heads_multiplies_nothing():
    config = TopConfig(head_dim=12, max_keys=32, keys_per_cycle=2, cores=2)
    top = LatteTop(config)
    described = emit_top.describe(top)["dsp_products"]
    assert multiplications(emit_top.to_verilog(top), TOP) == sum(one["count"] for one in described) == 2 * 13
