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
        ((ONES, None, ONES, np.zeros(3)), r"scale_k must be above 0 and finite, not 0\.0"),
        ((ONES, None, -ONES, ONES), r"scale_q must be above 0 and finite, not -1\.0"),
        ((ONES, None, ONES * np.nan, ONES), "scale_q must be finite, .* not nan"),
        ((ONES, None, ONES, ONES * np.inf), "scale_k must be finite, .* not inf"),
        ((ONES, None, ["1"] * 3, ONES), "scale_q must be a number, not '1'"),
        ((ONES, None, [True] * 3, ONES), "scale_q must be a number, not True"),
        ((ONES, None, ONES * 1e-200, ONES * 1e-200), r"scale_q \* scale_k must be above 0, not 1e-200 \* 1e-200"),
        (([1, float("nan")], None, np.ones(2), np.ones(2)), "thresholds must be finite, .* not nan"),
        (([1, float("inf")], None, np.ones(2), np.ones(2)), "thresholds must be finite, .* not inf"),
        (([1, 10**400], None, np.ones(2), np.ones(2)), "thresholds must be finite, .* not 1000"),
        (([1, 1e300], None, np.ones(2), np.ones(2)), r"thresholds must be finite, .* not 1e\+300"),
        (
            ([1, -1e-9], None, np.ones(2), np.ones(2)),
            "thresholds must be 0 or more for the differential .* not -1e-09",
        ),
        ((-ONES, None, ONES, ONES), r"thresholds must be 0 or more for the differential rule, not -1\.0"),
        (([1, "2"], None, np.ones(2), np.ones(2)), "thresholds must be a number, not '2'"),
        (([1, True], None, np.ones(2), np.ones(2)), "thresholds must be a number, not True"),
        (([1, None], None, np.ones(2), np.ones(2)), "thresholds must be a number, not None"),
        ((2.0, None, ONES, ONES), r"thresholds must be one number per head, not of shape \(\)"),
        ((FILE, True, ONES, ONES), "layer must be an integer, not True"),
        ((FILE, "1", ONES, ONES), "layer must be an integer, not '1'"),
    ],
)
def test_what_does_not_fit_is_one_sentence(arguments: tuple, sentence: str) -> None:
    with pytest.raises(LatteError, match=sentence):
        entries_of(*arguments, HeadParams(CONFIG))


def test_thresholds_for_another_rule_or_split_are_refused() -> None:
    for name, value in (("rule", "static"), ("split", "truncate"), ("msb_bits", 3), ("head_dim", 32)):
        with pytest.raises(LatteError, match=f"are for {name}=.*, the configuration has {value}"):
            entries_of(FILE, 1, np.ones(9), np.ones(3), HeadParams(CONFIG.replace(**{name: value})))


def test_a_large_threshold_saturates_and_a_static_one_may_be_negative() -> None:
    """The greatest register keeps every key; what is larger can do no more."""
    params, static = HeadParams(CONFIG), HeadParams(CONFIG.replace(rule="static"))
    low, high = static.widths.threshold_range
    assert entries_of([3e38], None, [1.0], [1.0], params)[0][0] == params.widths.threshold_range[1]
    assert [entry[0] for entry in entries_of([-3e38, 3e38], None, [1.0] * 2, [1.0], static)] == [low, high]


@pytest.mark.parametrize(
    ("tau", "steps", "sentence"),
    [
        (-0.1, (1, 1), r"tau must be 0 or more for the differential rule, not -0\.1"),
        (float("nan"), (1, 1), "tau must be finite"),
        (float("inf"), (1, 1), "tau must be finite"),
        (10**400, (1, 1), "tau must be finite"),
        (True, (1, 1), "tau must be a number, not True"),
        ("1", (1, 1), "tau must be a number, not '1'"),
        (1.0, (0, 1), "scale_q must be above 0 and finite, not 0"),
        (1.0, (1, float("nan")), "scale_k must be finite"),
    ],
)
def test_the_formula_itself_refuses_them(tau: object, steps: tuple, sentence: str) -> None:
    """Who drives a bare head takes its registers from HeadParams."""
    with pytest.raises(LatteError, match=sentence):
        HeadParams(CONFIG).threshold_register(tau, *steps)
    if "tau" not in sentence:
        with pytest.raises(LatteError, match=sentence):
            HeadParams(CONFIG).softmax_scale_register(*steps)
