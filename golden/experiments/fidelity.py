"""Estimate fidelity per head: how well estimates of few bits order the keys of a query.

One pass of the model in floating point; every layer's queries and keys are then conditioned, quantised and cut in
every way, and the estimates of some queries are held against the float logits:

* ``rank``: Spearman's rank correlation over the query's valid keys, ties sharing their mean rank;
* ``recall``: of the tenth of the keys with the greatest true logits, the share found in the estimate's greatest tenth;
* ``mass``: the softmax weight that the estimate's greatest tenth holds, relative to that of the true greatest tenth;
* ``error``: root mean square of (estimate - true logit) in logits, less its mean over the row, which no rule sees.

Keys that tie at the border of the tenth count by their chance of being drawn. Means over queries and windows.
"""

from dataclasses import dataclass
from itertools import product as combinations
from typing import Any

import torch

from golden.experiments.context import Context
from golden.nn.backend import LayerCall
from golden.nn.condition import condition
from golden.nn.exact import exact_float32, grouped_matmul
from golden.nn.quantize import head_scales, per_query_head, quantize
from golden.nn.scores import split
from golden.train.task import batches
from latte_hw.config import LatteConfig, Split
from latte_hw.params import HeadParams

BITS = (2, 3, 4, 6, 8)
TOP = 0.1
"""Share of a query's valid keys that are looked for."""

CONDITIONINGS: tuple[tuple[str, ...], ...] = ((), ("smooth_k",), ("rotate",), ("smooth_k", "rotate"))
MEASURES = ("rank", "recall", "mass", "error")


@dataclass(frozen=True)
class Truth:
    """True logits of some queries, and what follows from them."""

    logits: torch.Tensor  # (B, H, n, m) float32, -inf at invalid pairs
    valid: torch.Tensor  # (B, 1, n, m)
    wanted: torch.Tensor  # (B, 1, n, 1) number of keys in the greatest tenth
    ranks: torch.Tensor  # (B, H, n, m)
    top: torch.Tensor  # (B, H, n, m) share of a key in the greatest tenth, 0 to 1

    @classmethod
    def of(cls, q: torch.Tensor, k: torch.Tensor, counts: torch.Tensor) -> "Truth":
        """From float q (B, H, n, D), k (B, G, m, D) and valid keys per query (B, n)."""
        logits = grouped_matmul(q, k.transpose(-1, -2)) / q.shape[-1] ** 0.5
        valid = torch.arange(k.shape[2], device=q.device) < counts[:, None, :, None]
        wanted = (valid.sum(-1, keepdim=True) * TOP).ceil()
        ranks, top = ordering(logits, valid, wanted)
        return cls(logits.masked_fill(~valid, -torch.inf), valid, wanted, ranks, top)


def ordering(values: torch.Tensor, valid: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rank of every value among the valid ones of its row, from 0, ties sharing their mean rank; and its chance of
    being among the ``wanted`` greatest, ties drawing lots. Shapes (B, H, n, m); those of invalid pairs mean nothing."""
    filled = values.masked_fill(~valid, torch.inf)
    ordered = filled.sort(-1).values
    below = torch.searchsorted(ordered, filled.contiguous())  # number of smaller values
    upto = torch.searchsorted(ordered, filled.contiguous(), right=True)  # and of equal ones
    above = valid.sum(-1, keepdim=True) - upto
    chance = ((wanted - above) / (upto - below).clamp(min=1)).clamp(0, 1)
    return (below + upto - 1) / 2, chance * valid


def measures(truth: Truth, estimate: torch.Tensor) -> torch.Tensor:
    """The four measures of estimates in logits (B, H, n, m), meaned over windows and queries: (4, H) float64."""
    valid, count = truth.valid, truth.valid.sum(-1, keepdim=True)

    def centred(x: torch.Tensor) -> torch.Tensor:
        masked = x.double().masked_fill(~valid, 0)
        return (masked - masked.sum(-1, keepdim=True) / count) * valid

    ranks, top = ordering(estimate, valid, truth.wanted)
    a, b = centred(ranks), centred(truth.ranks)
    scale = (a.square().sum(-1) * b.square().sum(-1)).sqrt()
    rank = (a * b).sum(-1) / scale.clamp(min=1e-12)
    recall = (top * truth.top).sum(-1) / truth.wanted[..., 0]
    weight = torch.softmax(truth.logits, -1)
    mass = (weight * top).sum(-1) / (weight * truth.top).sum(-1)
    error = centred(estimate - truth.logits.masked_fill(~valid, 0)).square().sum(-1) / count[..., 0]
    means = [x.double().mean((0, 2)) for x in (rank, recall, mass, error)]
    return torch.stack([*means[:3], means[3].sqrt()])


def estimated(q: torch.Tensor, k: torch.Tensor, rows: torch.Tensor, params: HeadParams) -> torch.Tensor:
    """Estimates in logits (B, H, n, m) of the queries ``rows`` of conditioned q (B, H, N, D), with k (B, G, m, D)."""
    scale_q, scale_k = head_scales(q, params), head_scales(k, params)
    high_q = split(quantize(q[:, :, rows], scale_q, params), params)[0]
    high_k = split(quantize(k, scale_k, params), params)[0]
    step = per_query_head(scale_q, scale_k)[:, :, None, None] * 4.0**params.widths.low_bits / q.shape[-1] ** 0.5
    return grouped_matmul(high_q, high_k.transpose(-1, -2)) * step


def run(context: Context) -> dict[str, Any]:
    sizes = context.sizes
    under_test = context.under_test(held_out=sizes.fidelity_windows, batch=1)
    runtime = under_test.runtime
    dim = runtime.config.head_dim
    first = sizes.window // 8
    rows = torch.linspace(first, sizes.window - 1, sizes.fidelity_queries, device=under_test.device).long()
    sums: dict[tuple[int, str, tuple[str, ...]], dict[int, torch.Tensor]] = {
        key: {} for key in combinations(BITS, [str(x) for x in Split], CONDITIONINGS)
    }

    def watch(call: LayerCall) -> None:
        with exact_float32(call.q.device):
            truth = Truth.of(call.q[:, :, rows], call.k, call.counts[:, rows])
            for names in CONDITIONINGS:
                q, k = condition(names, call.q, call.k)
                for bits, kind in combinations(BITS, Split):
                    params = HeadParams(LatteConfig(head_dim=dim, msb_bits=bits, split=kind))
                    found = measures(truth, estimated(q, k, rows, params))
                    layers = sums[bits, str(kind), names]
                    layers[call.layer] = layers.get(call.layer, torch.zeros_like(found)) + found

    runtime.watch = watch
    with torch.no_grad():
        for items in batches(sizes.fidelity_windows, 1):
            context.say(f"  window {items[0] + 1} of {sizes.fidelity_windows}")
            under_test.logits(under_test.load("held_out", items), "float")
    runtime.watch = None
    context.settings = {"top": TOP, "windows": sizes.fidelity_windows, "queries_per_window": len(rows),
                        "first_query": first, "measures": list(MEASURES)}  # fmt: skip
    return {"settings": [_setting(key, found, sizes.fidelity_windows) for key, found in sums.items()]}


def _setting(key: tuple[int, str, tuple[str, ...]], layers: dict[int, torch.Tensor], windows: int) -> dict[str, Any]:
    """One way of estimating: means over all heads, and the measures of every layer and head but ``mass``."""
    bits, kind, names = key
    heads = torch.stack([layers[layer] for layer in sorted(layers)], 1).cpu() / windows  # (4, layers, H)
    means = {name: round(float(values.mean()), 5) for name, values in zip(MEASURES, heads, strict=True)}
    per_head = {
        name: [[round(x, 3) for x in row] for row in values.tolist()]
        for name, values in zip(MEASURES, heads, strict=True)
        if name != "mass"
    }
    worst = round(float(heads[MEASURES.index("recall")].min()), 5)
    return {"bits": bits, "split": kind, "conditioning": list(names), "mean": means, "worst_recall": worst,
            "per_head": per_head}  # fmt: skip
