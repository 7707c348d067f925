"""Integer attention in torch, bit-equal to :func:`golden.attention.attention` on every array, on CPU and CUDA.

The same stages in the same integers; queries are taken in tiles, so that 8192 tokens fit a GPU.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch

from golden.blocks.head import COUNTER_NAMES
from golden.blocks.quantize import INT8_MIN
from golden.blocks.softmax import guarded_table
from golden.files.tensors import TensorFile
from golden.nn.exact import FLOAT32_EXACT, exact_float32, grouped_matmul
from golden.nn.quantize import Quantized, per_query_head, softmax_registers, threshold_registers
from golden.nn.rules import KeepRule, ScoreTile, configured_rule
from golden.nn.scores import Scorer, with_bits
from golden.nn.valid import tiles, valid_counts
from latte_hw.config import LatteConfig, Rule
from latte_hw.params import EXP_GUARD_BITS, HeadParams


@dataclass(frozen=True)
class IntegerInputs:
    """What the hardware is given, for B windows. H query heads, G K/V heads, D dimensions."""

    q8: torch.Tensor  # (B, H, Nq, D) int8
    k8: torch.Tensor  # (B, G, Nk, D) int8
    v8: torch.Tensor  # (B, G, Nk, D) int8
    scale_q: torch.Tensor  # (B, H) float32
    scale_k: torch.Tensor  # (B, G) float32
    scale_v: torch.Tensor  # (B, G) float32
    tau_int: torch.Tensor  # (B, H) int64
    mantissa: torch.Tensor  # (B, H) int64
    shift: torch.Tensor  # (B, H) int64
    counts: torch.Tensor  # (B, Nq) int64, valid keys per query, see golden.nn.valid
    conditioning: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        tensors: Quantized,
        tau: torch.Tensor,
        counts: torch.Tensor,
        params: HeadParams,
        conditioning: tuple[str, ...] = (),
        estimate_bits: int | None = None,
    ) -> "IntegerInputs":
        """From quantised tensors and thresholds tau (H,) in logits; ``estimate_bits`` as of the attention."""
        scale_q, scale_k = tensors.scale_q, tensors.scale_k
        mantissa, shift = softmax_registers(scale_q, scale_k, params)
        return cls(
            q8=tensors.q.detach().to(torch.int8),
            k8=tensors.k.detach().to(torch.int8),
            v8=tensors.v.detach().to(torch.int8),
            scale_q=scale_q,
            scale_k=scale_k,
            scale_v=tensors.scale_v,
            tau_int=threshold_registers(tau, scale_q, scale_k, with_bits(params, estimate_bits)),
            mantissa=mantissa,
            shift=shift,
            counts=counts,
            conditioning=conditioning,
        )

    @classmethod
    def of_file(cls, tensors: TensorFile, config: LatteConfig, device: torch.device | str = "cpu") -> "IntegerInputs":
        """One window, B = 1, from a checked tensor file; causality is the configuration's."""
        names = ("q8", "k8", "v8", "scale_q", "scale_k", "scale_v", "tau_int")
        arrays = {name: torch.from_numpy(getattr(tensors, name).copy())[None].to(device) for name in names}
        mantissa, shift = torch.from_numpy(tensors.softmax_scale.copy())[None].to(device).unbind(-1)
        offset = tensors.causal_offset if config.causal else None
        counts = valid_counts(1, tensors.q8.shape[1], tensors.k8.shape[1], offset, device)
        return cls(**arrays, mantissa=mantissa, shift=shift, counts=counts, conditioning=tensors.conditioning)

    def to_file(self, window: int) -> TensorFile:
        """The tensor file of one window without its padding, for the NumPy golden model with the same causality."""
        counts = self.counts[window].cpu()
        seeing = counts.nonzero().flatten().tolist()  # queries that see a key
        n_keys, n_queries = int(counts.max()), 1 + seeing[-1] if seeing else 0
        offset = int(counts[seeing[0]]) - 1 - seeing[0] if seeing else 0

        def take(x: torch.Tensor) -> torch.Tensor:
            return x[window].cpu()

        return TensorFile(
            q8=take(self.q8)[:, :n_queries].numpy(),
            k8=take(self.k8)[:, :n_keys].numpy(),
            v8=take(self.v8)[:, :n_keys].numpy(),
            scale_q=take(self.scale_q).numpy(),
            scale_k=take(self.scale_k).numpy(),
            scale_v=take(self.scale_v).numpy(),
            tau_int=take(self.tau_int).numpy(),
            softmax_scale=torch.stack([take(self.mantissa), take(self.shift)], -1).numpy(),
            causal_offset=offset,
            conditioning=self.conditioning,
        )


@torch.no_grad()
def integer_attention(
    inputs: IntegerInputs,
    config: LatteConfig,
    *,
    stages: bool = False,
    rule: KeepRule | None = None,
    estimate_bits: int | None = None,
) -> dict[str, torch.Tensor]:
    """The accelerator's results: ``out`` int16 (B, H, Nq, D) and ``counters`` int64 (B, H, 3), as golden names them.

    With ``stages`` also ``estimate``, ``score``, ``prob`` int32 and ``keep`` bool, each (B, H, Nq, Nk): for short
    windows. ``config.causal`` is not looked at: ``inputs.counts`` say it. What the hardware does not have:
    ``estimate_bits`` takes the estimate from another number of bits than ``msb_bits`` (``tau_int`` is then in steps of
    that), and ``rule`` keeps keys by another rule (nothing is dropped early, so survivors are the kept keys).
    """
    params = HeadParams(config)
    batch, heads, n_queries, dim = inputs.q8.shape
    n_keys, device = inputs.k8.shape[2], inputs.q8.device
    scorer = Scorer(
        q=inputs.q8.float(),
        k=inputs.k8.float(),
        counts=inputs.counts,
        logit_step=per_query_head(inputs.scale_q, inputs.scale_k) / math.sqrt(dim),
        tau=None,
        tau_int=inputs.tau_int,
        params=params,
        estimate_bits=config.msb_bits if estimate_bits is None else estimate_bits,
    )
    v = inputs.v8.float()
    pairs = (batch, heads, n_queries, n_keys)
    results = {
        "out": torch.zeros((batch, heads, n_queries, dim), dtype=torch.int16, device=device),
        "counters": torch.zeros((batch, heads, len(COUNTER_NAMES)), dtype=torch.int64, device=device),
    }
    if stages:
        names = {"estimate": torch.int32, "keep": torch.bool, "score": torch.int32, "prob": torch.int32}
        results |= {name: torch.zeros(pairs, dtype=dtype, device=device) for name, dtype in names.items()}
    results["counters"][..., 0] = inputs.counts.sum(-1, keepdim=True)
    with exact_float32(device):
        for rows, keys in tiles(inputs.counts, n_keys, heads):
            score = scorer.score(rows, keys)
            tile = scorer.tile(rows, keys, score)
            keep = (rule or configured_rule(config)).keep(tile)
            survivors = keep if rule is not None else early_survivors(tile, params)
            prob = weights(score, keep, inputs.mantissa, inputs.shift, params)
            results["out"][:, :, rows] = weighted_sum(prob, v[:, :, :keys], params)
            results["counters"][..., 1] += survivors.sum((-1, -2))
            results["counters"][..., 2] += keep.sum((-1, -2))
            if stages:
                made = {"estimate": tile.estimate * tile.valid, "keep": keep, "score": score * keep, "prob": prob}
                for name, values in made.items():
                    results[name][:, :, rows, :keys] = values.to(results[name].dtype)
    return results


def early_survivors(tile: ScoreTile, params: HeadParams) -> torch.Tensor:
    """Mask (B, H, n, m) of keys that pass the early drop, as :func:`golden.blocks.threshold_filter.filter_tile`."""
    lanes = params.config.keys_per_cycle
    masked = tile.estimate.masked_fill(~tile.valid, -torch.inf)
    padded = torch.nn.functional.pad(masked, (0, -masked.shape[-1] % lanes), value=-torch.inf)
    beats = padded.unflatten(-1, (-1, lanes))  # (B, H, n, beats, P)
    best = beats.amax(-1).cummax(-1).values  # (B, H, n, beats)
    differential = params.config.rule is Rule.DIFFERENTIAL
    limit = best - tile.tau_int if differential else torch.minimum(best, tile.tau_int)
    return ((beats >= limit[..., None]) & (beats > -torch.inf)).flatten(-2)[..., : masked.shape[-1]]


def weights(
    score: torch.Tensor, keep: torch.Tensor, mantissa: torch.Tensor, shift: torch.Tensor, params: HeadParams
) -> torch.Tensor:
    """Unnormalised weights int64 (B, H, n, m) of scores and kept pairs; see :mod:`golden.blocks.softmax`.

    ``mantissa`` and ``shift`` are (B, H). Remainders are passed on in closed form, with running sums along a row.
    """
    best = score.masked_fill(~keep, -torch.inf).amax(-1, keepdim=True)
    delta = (best - score).masked_fill(~keep, 0).to(torch.int64)
    t = (((delta * mantissa[:, :, None, None]) >> shift[:, :, None, None]) + 1) >> 1
    guarded = _table(params, score.device)[t.clamp_(max=2**params.widths.exp_bits - 1)].masked_fill_(~keep, 0)
    total = guarded.cumsum(-1) + 2 ** (EXP_GUARD_BITS - 1)
    return (total >> EXP_GUARD_BITS) - ((total - guarded) >> EXP_GUARD_BITS)


@lru_cache
def _table(params: HeadParams, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(guarded_table(params).copy()).to(device)


def weighted_sum(prob: torch.Tensor, v: torch.Tensor, params: HeadParams) -> torch.Tensor:
    """Outputs int16 (B, H, n, D) of weights (B, H, n, m) and values (B, G, m, D); see
    :mod:`golden.blocks.weighted_sum`."""
    total = prob.sum(-1, keepdim=True)  # (B, H, n, 1)
    bound = int(total.max()) * -INT8_MIN
    dtype = torch.float32 if bound <= FLOAT32_EXACT else torch.float64
    summed = grouped_matmul(prob.to(dtype), v.to(dtype)).to(torch.int64) << params.config.out_fraction_bits
    divisor = total.clamp(min=1)
    rounded = torch.div(2 * summed + divisor, 2 * divisor, rounding_mode="floor")
    return rounded.to(torch.int16)
