"""The measures of an estimate against definitions written out."""

import numpy as np
import pytest
import torch

from golden.experiments.fidelity import Truth, estimated, measures
from golden.nn.exact import exact_float32
from golden.nn.integer import IntegerInputs, integer_attention
from golden.nn.quantize import quantize_all
from golden.nn.valid import valid_counts
from latte_hw.config import LatteConfig
from latte_hw.params import HeadParams

TOKENS, DIM = 40, 16


def mean_ranks(values: np.ndarray) -> np.ndarray:
    return np.array([(values < x).sum() + ((values == x).sum() - 1) / 2 for x in values])


def expected(truth: np.ndarray, estimate: np.ndarray) -> tuple[float, ...]:
    """The four measures of one query."""
    rank = np.corrcoef(mean_ranks(truth), mean_ranks(estimate))[0, 1]
    wanted = int(np.ceil(0.1 * len(truth) - 1e-6))
    top = np.zeros(len(truth))
    top[np.argsort(-truth)[:wanted]] = 1
    chance = [np.clip((wanted - (estimate > x).sum()) / (estimate == x).sum(), 0, 1) for x in estimate]
    weight = np.exp(truth - truth.max())
    off = estimate - truth
    return rank, (chance * top).sum() / wanted, (weight * chance).sum() / (weight * top).sum(), np.var(off)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_measures_are_their_definitions(bits: int) -> None:
    torch.manual_seed(bits)
    q, k = torch.randn(2, 4, TOKENS, DIM), torch.randn(2, 2, TOKENS, DIM)
    rows, counts = torch.arange(9, TOKENS, 7), valid_counts(2, TOKENS, TOKENS, 0)
    params = HeadParams(LatteConfig(head_dim=DIM, msb_bits=bits))
    with exact_float32(q.device):
        truth = Truth.of(q[:, :, rows], k, counts[:, rows])
        estimate = estimated(q, k, rows, params)
        found = measures(truth, estimate)
    true, guessed = truth.logits.double().numpy(), estimate.double().numpy()
    for head in range(4):
        wanted = [expected(true[b, head, i, : n + 1], guessed[b, head, i, : n + 1])
                  for b in range(2) for i, n in enumerate(rows.tolist())]  # fmt: skip
        means = np.mean(wanted, axis=0)
        np.testing.assert_allclose(found[:, head], [*means[:3], np.sqrt(means[3])], rtol=1e-4)


def test_the_estimate_is_the_hardware_s() -> None:
    """In whole steps, the estimates that are judged are those of the integer attention."""
    torch.manual_seed(0)
    q, k = torch.randn(1, 4, TOKENS, DIM), torch.randn(1, 2, TOKENS, DIM)
    config = LatteConfig(head_dim=DIM, causal=True)
    params = HeadParams(config)
    tensors = quantize_all(q, k, k, params)
    inputs = IntegerInputs.of(tensors, torch.zeros(4), valid_counts(1, TOKENS, TOKENS, 0), params)
    whole = integer_attention(inputs, config, stages=True)["estimate"]
    rows = torch.arange(TOKENS)
    with exact_float32(q.device):
        logits = estimated(q, k, rows, params)
    step = tensors.logit_step()[:, :, None, None] * 4.0**params.widths.low_bits
    assert torch.equal((logits / step).round().tril().int(), whole)
