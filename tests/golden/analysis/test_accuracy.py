"""The model's accuracy contract: int8 outputs against float64 softmax over the same kept integer scores.

In units of V's int8 step: at 8 probability bits at most 1.25, 0.27 on average; from 12 bits 0.6 and 0.255.
"""

from pathlib import Path

import pytest

from golden.analysis.accuracy import CONTRACT, output_errors
from golden.files.stimuli import random_trace
from golden.files.tensors import from_arrays, load
from latte_hw.config.presets import preset

TRACES = Path(__file__).parents[3] / "traces"


@pytest.mark.parametrize("prob_bits", CONTRACT)
@pytest.mark.parametrize("split", ["balanced", "truncate"])
def test_random_rows(prob_bits: int, split: str) -> None:
    config = preset("smollm2-135m").replace(prob_bits=prob_bits, split=split)
    error = output_errors(from_arrays(random_trace(config, 11, 6, 2, 200, 200, keep=0.12), config), config)
    greatest, mean = CONTRACT[prob_bits]
    assert error.max() <= greatest
    assert error.mean() <= mean


@pytest.mark.parametrize("prob_bits", CONTRACT)
def test_real_trace(prob_bits: int) -> None:
    config = preset("smollm2-135m").replace(prob_bits=prob_bits)
    error = output_errors(load(TRACES / "smollm2-135m.npz", config), config)
    greatest, mean = CONTRACT[prob_bits]
    assert error.max() <= greatest
    assert error.mean() <= mean


def test_fraction_bits_buy_accuracy() -> None:
    config = preset("smollm2-135m").replace(prob_bits=16, out_fraction_bits=8)
    error = output_errors(from_arrays(random_trace(config, 11, 6, 2, 200, 200, keep=0.3), config), config)
    assert error.max() <= 0.02
    assert error.mean() <= 0.002
