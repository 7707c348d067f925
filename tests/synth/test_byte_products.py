"""Products of bytes in carry chains: half the LUTs, and the product of every weight and element."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from latte_hw.synth import script, tools
from latte_hw.synth.carry_chains import trim
from latte_hw.synth.targets import TARGETS
from tests.synth.test_carry_chains import evaluate

ECP5 = TARGETS["ecp5-85k"]
PORTS = "input [7:0] w, input signed [7:0] v, output signed [15:0] o"
PRODUCTS = {"weight first": "$signed({1'b0, w}) * v", "element first": "v * $signed({1'b0, w})"}
LEFT = {"two signed": "$signed(w) * v", "two unsigned": "w * $unsigned(v)"}


def write_maps(folder: Path) -> None:
    for name, content in script.MAPS.items():
        (folder / name).write_text(content)


def mapped(folder: Path, product: str) -> dict[str, Any]:
    """The netlist of one product whose map to carry chains was asked for."""
    (folder / "dut.v").write_text(f"module dut({PORTS});\nassign o = {product};\nendmodule\n")
    write_maps(folder)
    maps = " ".join(f"-map {name}" for name in script.MAPS)
    map_it = f"read_verilog dut.v\nproc\nwreduce t:$mul\ntechmap {maps} t:$mul\n"
    synthesise = (
        "synth_ecp5 -top dut -noiopad -nodsp -run begin:map_luts\nsplitnets\nsynth_ecp5 -top dut -run map_luts:\n"
    )
    (folder / "run.ys").write_text(f"{map_it}{synthesise}write_json dut.json\n")
    tools.run(tools.YOSYS, ["-s", "run.ys"], folder, ["dut.json"])
    content: dict[str, Any] = json.loads((folder / "dut.json").read_text())
    return content


def counted(netlist: dict[str, Any], top: str) -> Counter[str]:
    return Counter(cell["type"] for cell in netlist["modules"][top]["cells"].values())


@pytest.mark.parametrize("name", PRODUCTS)
def test_every_product_is_right(tmp_path: Path, name: str) -> None:
    content = mapped(tmp_path, PRODUCTS[name])
    assert counted(content, "dut")["CCU2C"] == 36
    assert counted(content, "dut")["LUT4"] == 0
    trim(content, "dut")
    module = content["modules"]["dut"]
    weights, elements = (0, 1, 2, 85, 127, 128, 170, 254, 255), (*range(-128, 128, 5), 127, -1, 0)
    for weight in weights:
        for element in elements:
            got = evaluate(module, {"w": weight, "v": element & 0xFF}, 0)
            assert got == weight * element & 0xFFFF, (weight, element)


@pytest.mark.parametrize("name", LEFT)
def test_other_products_are_left_to_yosys(tmp_path: Path, name: str) -> None:
    cells = counted(mapped(tmp_path, LEFT[name]), "dut")
    assert cells["LUT4"] > 60


def test_those_beyond_the_dsp_blocks_are_built_so(tmp_path: Path) -> None:
    ports = "input clk, input [7:0] w, input signed [7:0] a, b, c, output reg signed [15:0] x, y, z"
    lines = [f"{out} <= $signed({{1'b0, w}}) * {factor};" for out, factor in zip("xyz", "abc", strict=True)]
    (tmp_path / "t.v").write_text(f"module t({ports});\nalways @(posedge clk) begin {' '.join(lines)} end\nendmodule\n")
    write_maps(tmp_path)
    (tmp_path / "run.ys").write_text(script.flat_script(ECP5, "t.v", "t", True, products=1))
    tools.run(tools.YOSYS, ["-s", "run.ys"], tmp_path, [script.NETLIST_FILE])
    cells = counted(json.loads((tmp_path / script.NETLIST_FILE).read_text()), "t")
    assert (cells["MULT18X18D"], cells["CCU2C"]) == (1, 2 * 36)
