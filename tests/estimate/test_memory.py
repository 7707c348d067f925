"""Estimated memories are those that the emitted Verilog declares; where Yosys puts them."""

import re
from collections import Counter
from pathlib import Path

import pytest

from latte_hw.config import CoreConfig, Datapath, DenseConfig, Dot, Reuse, Split
from latte_hw.config.presets import preset
from latte_hw.emit import head as emit
from latte_hw.estimate.memory import Memory, memories_of
from latte_hw.estimate.placement import place

DECLARED = re.compile(r"^\s*reg (?:\[(\d+):0\] )?\S+ \[(\d+):0\];", re.MULTILINE)

CHANGES = {
    "tiny": {},
    "small tables of two queries per scan": {"head_dim": 12, "table_dims": 3, "queries_per_scan": 2},
    "nothing to reuse": {"msb_bits": 8, "kv_buffers": 1},
    "readers that share RAMs, and one alone": {"kv_buffers": 1, "queries_per_scan": 3},
    "an odd number of keys": {
        "head_dim": 20, "msb_bits": 3, "split": Split.TRUNCATE, "reuse": Reuse.EXACT, "keys_per_cycle": 3,
        "max_keys": 96, "causal": False,
    },
    "pairs of kept keys": {"kept_per_cycle": 2, "reuse": Reuse.EXACT, "max_keys": 64},
    "pairs of kept keys, one buffer": {"kept_per_cycle": 2, "kv_buffers": 1, "head_dim": 20, "table_dims": 3},
    "tables of their own for reuse": {
        "table_queries": 1, "reuse_table_dims": 3, "reuse_table_queries": 2, "queries_per_scan": 3, "kv_buffers": 1,
    },
    "a few bits of a bank in LUT RAM": {"head_dim": 64, "kv_buffers": 1, "keys_per_cycle": 2, "max_keys": 64},
    "more than eight keys per cycle": {"keys_per_cycle": 10, "max_keys": 40, "kept_per_cycle": 2},
    "multipliers": {"dot": Dot.MULTIPLIERS, "queries_per_scan": 9, "out_fraction_bits": 5, "prob_bits": 11},
}  # fmt: skip


@pytest.mark.each_choice
@pytest.mark.parametrize("datapath", Datapath)
@pytest.mark.parametrize("name", CHANGES)
def test_memories_are_those_of_the_verilog(name: str, datapath: Datapath, tmp_path: Path):
    config: CoreConfig = preset("tiny").replace(**CHANGES[name])
    if datapath is Datapath.DENSE:
        config = DenseConfig.of(config)
    text = emit.generate(config, tmp_path).verilog.read_text()
    declared = Counter((int(words) + 1, int(width or 0) + 1) for width, words in DECLARED.findall(text))
    estimated: Counter[tuple[int, int]] = Counter()
    for memory in memories_of(config):
        estimated[memory.words, memory.width] += memory.copies
    assert estimated == declared


@pytest.mark.parametrize(
    ("words", "width", "target", "blocks", "luts"),
    [
        (1024, 13, "xc7", 0.5, 0),  # half a RAMB36
        (64, 64, "xc7", 0, 88),  # 22 RAM64M
        (512, 72, "xc7", 1, 0),
        (32, 32, "ecp5-85k", 0, 64),  # 16 DPR16X4
        (64, 64, "ecp5-85k", 2, 0),
        (2048, 512, "ecp5-85k", 57, 0),
    ],
)
def test_where_a_memory_goes(words: int, width: int, target: str, blocks: float, luts: float):
    placed = place(Memory("store", "rows", words, width), target)
    assert (placed.blocks, placed.luts) == (blocks, luts)
    twice = place(Memory("store", "rows", words, width, copies=2), target)
    assert (twice.blocks, twice.luts) == (2 * blocks, 2 * luts)


def test_tables_stay_in_lut_ram():
    assert place(Memory("estimator", "table_high_4", 32, 6, 16, 32), "ecp5-85k").blocks == 0
