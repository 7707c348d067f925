"""LUTs, flip-flops, DSP blocks and block RAMs of a LATTE head: a formula per block, with a few fitted coefficients.

A block's LUTs (and flip-flops) are `Σ coefficient · quantity` over the quantities that :func:`quantities` derives from
widths and counts: LUT RAM, adder bits, compared bits, … DSP blocks and block RAMs are counted by rule. The coefficients
are in `coefficients.json`, made by `python -m latte_hw.estimate.fit`, which also says what they were fitted to.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from latte_hw.config import TOTAL_BITS, LatteConfig, Reuse
from latte_hw.config.errors import LatteError
from latte_hw.estimate.adders import DotCount, count_dot
from latte_hw.estimate.memory import Memory, memories_of
from latte_hw.estimate.placement import FAMILIES, Placement, place
from latte_hw.params import SCALE_MANTISSA_BITS, HeadParams, dsp_products

Quantities = dict[str, dict[str, float]]
"""By block, then by name."""

FIGURES = ("lut", "ff")
QUEUES = ("estimator_queries", "reuse_queries", "thresholds", "scales", "rows")


@dataclass(frozen=True)
class Area:
    """Of a whole core, without what is outside of it."""

    lut: int
    ff: int
    dsp: int
    block_ram: float
    blocks: dict[str, int]  # LUTs by block


def area_of(config: LatteConfig, target: str, coefficients: Mapping[str, Any] | None = None) -> Area:
    """The area of a LATTE head. Raises :class:`LatteError` on a target that no coefficients were fitted for."""
    known = coefficients if coefficients is not None else load_coefficients()["targets"]
    if target not in known or target not in FAMILIES:
        raise LatteError(f"area is estimated for the targets {', '.join(sorted(known))}, not for {target}")
    found = quantities(config, target)
    totals: dict[str, dict[str, float]] = {}
    for figure in FIGURES:
        totals[figure] = {
            block: sum(known[target][figure][block].get(name, 0) * value for name, value in by_name.items())
            for block, by_name in found.items()
        }
    return Area(
        lut=round(sum(totals["lut"].values())),
        ff=round(sum(totals["ff"].values())),
        dsp=dsp_blocks(config),
        block_ram=sum(one.blocks for one in _placed(config, target).values()),
        blocks={block: round(luts) for block, luts in totals["lut"].items()},
    )


@lru_cache(maxsize=1)
def load_coefficients() -> dict[str, Any]:
    """What is in the file beside this module, with its provenance."""
    return dict(json.loads(resources.files(__package__).joinpath("coefficients.json").read_text()))


def dsp_blocks(config: LatteConfig) -> int:
    """One for each product that is written as a multiplication."""
    return sum(products.count for products in dsp_products(config))


def _placed(config: LatteConfig, target: str) -> dict[Memory, Placement]:
    return {memory: place(memory, target) for memory in memories_of(config)}


def quantities(config: LatteConfig, target: str) -> Quantities:
    """What a block's LUTs and flip-flops are proportional to, for all lanes together."""
    params = HeadParams(config)
    lanes, dim, keys = config.queries_per_scan, config.head_dim, config.keys_per_cycle
    kept_per_cycle = config.kept_per_cycle
    slots = lanes * kept_per_cycle  # kept keys per cycle of all lanes
    high, low, estimate = config.msb_bits, params.widths.low_bits, params.widths.estimate_bits
    estimator = count_dot(dim, params.scan_dot.tables, {"high": high}, [("high", high, True)], keys)
    terms = [("high", low, params.widths.low_signed), ("low", high, True)]
    terms += [("low", low, params.widths.low_signed)] if config.reuse is Reuse.EXACT else []
    parts = {"high": high, "low": low}
    reuse = count_dot(dim, params.reuse_dot.tables, parts, terms, kept_per_cycle) if low else DotCount()
    checked = (1 + kept_per_cycle) / 2  # the early drop takes one beat at a time, the final check R
    beat = checked * (keys * (estimate + 1) + params.widths.key_bits)
    product = params.widths.delta_bits + SCALE_MANTISSA_BITS
    divided = params.division.lanes * params.widths.out_bits * (params.widths.prob_sum_bits + 2)
    sums = dim * (params.widths.accumulator_bits + (kept_per_cycle - 1) * (config.prob_bits + TOTAL_BITS + 1))
    found: Quantities = {
        "head": {"one": 1},
        "store": {"element_bits": 2 * dim * TOTAL_BITS, "read_bits": dim * (high * keys + 2 * TOTAL_BITS * slots)},
        "sequencer": {"one": 1, "element_bits": dim * TOTAL_BITS},
        "queues": {"one": 5 * lanes, "bits": lanes * dim * (high + TOTAL_BITS)},
        "estimator": {"one": 1, **_of_dot(estimator, lanes)},
        "filter": {"one": lanes, "beat_bits": lanes * beat, "compared_bits": lanes * checked * keys * estimate},
        "reuse": {"one": lanes, **_of_dot(reuse, lanes), "score_bits": slots * params.widths.score_bits * bool(low)},
        "softmax": {"one": lanes, "product_bits": slots * product, "score_bits": slots * params.widths.score_bits},
        "weighted_sum": {
            "one": lanes,
            "sum_bits": lanes * sums,
            "out_bits": lanes * dim * params.widths.out_bits,
            "divided": lanes * divided,
        },
    }
    for memory, placement in _placed(config, target).items():
        block = found["queues" if memory.block in QUEUES else memory.block]
        wide = memory.width * bool(placement.blocks)
        for name, value in (("lut_ram", placement.luts), ("muxes", placement.muxes), ("block_bits", wide)):
            block[name] = block.get(name, 0) + value
    return found


def _of_dot(count: DotCount, lanes: int) -> dict[str, float]:
    return {
        "adder_bits": lanes * count.adder_bits,
        "register_bits": lanes * count.register_bits,
        "product_bits": lanes * count.product_bits,
        "fill_bits": lanes * count.fill_bits,
    }
