"""The area model against the synthesis runs that are on record, and the pieces that it is made of."""

from pathlib import Path

import numpy as np
import pytest

from latte_hw.config import Dot, DotChoice, LatteConfig
from latte_hw.config.errors import LatteError
from latte_hw.config.presets import preset
from latte_hw.estimate.adders import DotCount, count_dot
from latte_hw.estimate.area import area_of, dsp_blocks, load_coefficients, quantities
from latte_hw.estimate.fit import ALLOWED, fitted, held_against, nonnegative
from latte_hw.estimate.measure import TARGETS, load
from latte_hw.estimate.page import area_table, fill
from latte_hw.params import table_shape


@pytest.mark.parametrize("target", TARGETS)
def test_luts_and_dsp_blocks_of_cores_that_were_not_fitted(target: str):
    """Every core with the coefficients that all others give."""
    rows = [row for row in held_against(load()) if row["target"] == target]
    assert len(rows) >= 20
    for row in rows:
        for figure in ("lut", "dsp"):
            assert abs(row["error"][figure]) <= ALLOWED, (row["changes"], row["synthesis"], row["estimate"])


def test_the_coefficients_are_those_of_the_fit():
    assert fitted(load()) == load_coefficients()["targets"]


def test_a_larger_core_is_larger():
    small, large = (area_of(preset(name), "xc7") for name in ("tiny", "gpt2"))
    assert large.lut > 2 * small.lut
    assert large.block_ram > 10 * small.block_ram
    assert sum(large.blocks.values()) == pytest.approx(large.lut, abs=len(large.blocks))
    assert set(small.blocks) == set(quantities(preset("tiny"), "xc7"))


def test_another_target():
    with pytest.raises(LatteError, match="area is estimated for the targets ecp5-85k, xc7, not for ice40"):
        area_of(preset("tiny"), "ice40")


def test_dsp_blocks_by_hand():
    config = LatteConfig(head_dim=8, max_keys=32, keys_per_cycle=2)
    assert dsp_blocks(config) == 8 + 1, "of the scaling, the 2 upper bits of a distance stay in LUTs"
    assert dsp_blocks(config.replace(queries_per_scan=3)) == 3 * (8 + 1)
    assert dsp_blocks(config.replace(kept_per_cycle=2)) == 2 * (8 + 1)
    assert dsp_blocks(config.replace(dot=Dot.MULTIPLIERS)) == 8 + 1, "products of 4x4 bits stay in LUTs"
    assert dsp_blocks(config.replace(dot=Dot.MULTIPLIERS, msb_bits=8)) == 8 + 1 + 2 * 8
    assert dsp_blocks(config.replace(dot=Dot.MULTIPLIERS, msb_bits=8, kept_per_cycle=2)) == 2 * (8 + 1) + 2 * 8


def test_adders_by_hand():
    """Two tables of four dimensions, 4-bit elements: entries of 6 bits, whose sum has 7; four planes, in pairs."""
    tables = table_shape(DotChoice())
    count = count_dot(8, tables, {"high": 4}, [("high", 4, True)], 1)
    assert count.adder_bits == 4 * 7 + (2 * 8 + 10)
    assert count_dot(8, tables, {"high": 4}, [("high", 4, True)], 3).adder_bits == 3 * count.adder_bits
    assert count.times(2) == count + count
    assert count.product_bits == 0
    assert DotCount() + count == count


def test_least_squares_without_negative_coefficients():
    rng = np.random.default_rng(1)
    matrix = rng.random((20, 4))
    assert nonnegative(matrix, matrix @ [3, 0, 0.5, 2]) == pytest.approx([3, 0, 0.5, 2], abs=1e-9)
    held = nonnegative(matrix, matrix @ [3, -1, 0.5, 2])
    assert (held >= 0).all()
    assert held[1] == 0


def test_the_page_is_filled_between_its_markers(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("a <!-- begin area -->old<!-- end area --> b\n")
    fill("area", area_table({"xc7": {"configurations": 20, "lut": 0.051, "ff": 0.1, "dsp": 0, "block_ram": 0}}), page)
    assert "| `xc7` | 20 | 5.1 % | 10.0 % | 0.0 % | 0.0 % |" in page.read_text()
    assert "old" not in page.read_text()
    with pytest.raises(LatteError, match="must have one <!-- begin cycles -->"):
        fill("cycles", "", page)


@pytest.mark.parametrize(("target", "lut", "dsp", "block_ram"), [("xc7", 4084, 18, 0.5), ("ecp5-85k", 6547, 18, 5)])
def test_two_kept_keys_per_cycle(target: str, lut: int, dsp: int, block_ram: float):
    """What `latte synth --preset tiny --set kept_per_cycle=2` has counted; no such core was fitted."""
    area = area_of(preset("tiny").replace(kept_per_cycle=2), target)
    assert area.lut == pytest.approx(lut, rel=ALLOWED)
    assert (area.dsp, area.block_ram) == (dsp, block_ram)
