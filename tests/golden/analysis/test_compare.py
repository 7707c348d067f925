"""Reports of the first difference."""

import numpy as np
import pytest

from golden.analysis.compare import check_equal, first_difference
from golden.attention import attention
from golden.files.stimuli import random_trace
from golden.files.tensors import from_arrays
from latte_hw.config.errors import MismatchError
from latte_hw.config.presets import PRESETS

TINY = PRESETS["tiny"]
EXPECTED = attention(from_arrays(random_trace(TINY, 0, 2, 1, 4, 5), TINY), TINY)


def _changed(name: str, *indices: tuple[int, ...]) -> dict[str, np.ndarray]:
    got = {**EXPECTED, name: EXPECTED[name].copy()}
    for index in indices:
        got[name][index] = ~got[name][index] if name == "keep" else got[name][index] + 3
    return got


def test_equal_results() -> None:
    assert first_difference(EXPECTED, {name: x.copy() for name, x in EXPECTED.items()}) is None
    check_equal(EXPECTED, EXPECTED)


@pytest.mark.parametrize("name", ["estimate", "score", "prob"])
def test_stage_is_located(name: str) -> None:
    value = EXPECTED[name][1, 2, 3]
    assert first_difference(EXPECTED, _changed(name, (1, 3, 0), (1, 2, 3))) == (
        f"{name} differs first at head 1, query 2, key 3: expected {value}, got {value + 3} (2 of 40 values differ)"
    )


def test_keep_output_and_counters_are_located() -> None:
    kept = bool(EXPECTED["keep"][0, 1, 1])
    assert f"keep differs first at head 0, query 1, key 1: expected {kept}, got {not kept}" in str(
        first_difference(EXPECTED, _changed("keep", (0, 1, 1)))
    )
    assert "out differs first at head 1, query 0, dimension 7: expected" in str(
        first_difference(EXPECTED, _changed("out", (1, 0, 7)))
    )
    assert "counters differs first at head 1, counter survivors: expected" in str(
        first_difference(EXPECTED, _changed("counters", (1, 1)))
    )


def test_the_earliest_stage_is_reported() -> None:
    got = {**_changed("out", (0, 0, 0)), "prob": EXPECTED["prob"] + 1, "counters": EXPECTED["counters"] + 1}
    assert str(first_difference(EXPECTED, got)).startswith("prob differs first at head 0, query 0, key 0")


def test_other_names_are_compared_when_both_hold_them() -> None:
    assert first_difference(EXPECTED, {**EXPECTED, "cycles": np.ones(2)}) is None
    got = {**EXPECTED, "tau_int": EXPECTED["tau_int"] + 1}
    assert str(first_difference(EXPECTED, got)).startswith("tau_int differs first at index (0,): expected")


def test_missing_arrays() -> None:
    without = {name: x for name, x in EXPECTED.items() if name != "score"}
    assert first_difference(EXPECTED, without) == "score is missing from the got result"
    assert first_difference(without, EXPECTED) == "score is missing from the expected result"


def test_shapes() -> None:
    got = {**EXPECTED, "out": EXPECTED["out"][:, :2]}
    assert first_difference(EXPECTED, got) == "out has shape (2, 2, 8), expected (2, 4, 8)"


def test_mismatch_error_carries_the_sentence() -> None:
    with pytest.raises(MismatchError, match=r"^out differs first at head 0, query 3, dimension 2: expected"):
        check_equal(EXPECTED, _changed("out", (0, 3, 2)))
