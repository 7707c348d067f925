"""Thresholds as arrays and from the files of training become the registers that golden uses."""

import json
from pathlib import Path

import numpy as np
import pytest

from golden.files.inputs import load_inputs
from latte_hw.config.errors import LatteError
from latte_hw.config.presets import preset
from latte_hw.config.top import TopConfig
from latte_hw.driver.thresholds import entries_of
from latte_hw.params import HeadParams

ROOT = Path(__file__).parents[2]
FILE = ROOT / "thresholds" / "smollm2-135m-window.json"
STATIC = ROOT / "thresholds" / "smollm2-135m-static.json"
TRACE = ROOT / "traces" / "smollm2-135m-layer12.npz"
CONFIG = TopConfig(**preset("smollm2-135m").model_dump())


def test_a_file_gives_the_registers_that_evaluation_used() -> None:
    layer, config = load_inputs(TRACE, FILE, 12, None, None, None)
    entries = entries_of(FILE, 12, layer.scale_q, layer.scale_k, HeadParams(config))
    expected = np.column_stack([layer.tau_int, layer.softmax_scale])
    assert entries == [tuple(row) for row in expected.tolist()]
    tau = json.loads(FILE.read_text())["tau"][12]
    assert entries_of(tau, None, layer.scale_q, layer.scale_k, HeadParams(config)) == entries


def test_a_file_with_static_scales_needs_no_others() -> None:
    content = json.loads(STATIC.read_text())
    params = HeadParams(CONFIG)
    scales = [content["scales"][name][7] for name in ("q", "k")]
    assert entries_of(STATIC, 7, None, None, params) == entries_of(content["tau"][7], None, *scales, params)


ONES = np.ones(3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((FILE, 30, ONES, ONES), "layer must be from 0 to 29 for these thresholds, not 30"),
        ((FILE, None, ONES, ONES), "layer is needed with a thresholds file: 0 to 29"),
        ((FILE, 1, None, None), "scale_q and scale_k are needed"),
        ((ROOT / "none.json", 1, ONES, ONES), "cannot be read: No such file"),
        ((ROOT / "README.md", 1, ONES, ONES), "is not JSON"),
        ((ROOT / "rtl_out" / "tiny" / "latte_head.json", 1, ONES, ONES), "is not of the schema latte-thresholds-1"),
        ((ONES, 1, ONES, ONES), "leave it out with an array"),
        ((ONES, None, ONES, np.ones(2)), "not 3 and 2"),
        ((ONES, None, ONES, np.zeros(3)), "must be above 0 and finite"),
        (([1, float("nan")], None, np.ones(2), np.ones(2)), "thresholds must be one number per head"),
    ],
)
def test_what_does_not_fit_is_one_sentence(arguments: tuple, sentence: str) -> None:
    with pytest.raises(LatteError, match=sentence):
        entries_of(*arguments, HeadParams(CONFIG))


def test_thresholds_for_another_rule_or_split_are_refused() -> None:
    for name, value in (("rule", "static"), ("split", "truncate"), ("msb_bits", 3), ("head_dim", 32)):
        with pytest.raises(LatteError, match=f"are for {name}=.*, the configuration has {value}"):
            entries_of(FILE, 1, np.ones(9), np.ones(3), HeadParams(CONFIG.replace(**{name: value})))
