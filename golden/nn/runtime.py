"""How the attention of a model is computed, layer by layer, and what came of it. Modes:

* `float`: the model's own attention in floating point (SDPA), nothing quantised (see :mod:`golden.nn.backend`);
* `dense_int8`: q, k, v quantised with the runtime's conditioning and scales, exact int8 dot products whatever ``reuse``
  says, every valid key kept, float32 softmax, dequantised values: the dense int8 baseline and teacher. Its greatest
  int8 value is the configuration's (119 for `balanced` M = 4); a runtime with split=truncate gives the usual 127;
* `soft`: :mod:`golden.nn.soft`, pruned, differentiable in the thresholds; without gradients it is the quick way to
  evaluate (hard mask, float32 softmax);
* `integer`: :mod:`golden.nn.integer`, bit for bit the hardware's output, dequantised.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from golden.nn.condition import condition
from golden.nn.integer import IntegerInputs, integer_attention
from golden.nn.quantize import Quantized, StaticScales, quantize_all
from golden.nn.rules import KeepAll, KeepRule, configured_rule
from golden.nn.soft import SoftResult, soft_attention
from golden.nn.thresholds import Thresholds
from golden.nn.valid import real_keys
from latte_hw.config import TOTAL_BITS, LatteConfig, Reuse
from latte_hw.config.errors import LatteError
from latte_hw.config.thresholds import check_conditioning
from latte_hw.params import HeadParams

Mode = Literal["float", "dense_int8", "soft", "integer"]


@dataclass(frozen=True)
class LayerCall:
    """What a layer attended with, for :attr:`LatteRuntime.watch`."""

    layer: int
    q: torch.Tensor  # (B, H, Nq, D) float32, scaled so that the logit is q·k/√D; not conditioned
    k: torch.Tensor  # (B, G, Nk, D) float32, not conditioned
    v: torch.Tensor  # (B, G, Nk, D) float32
    counts: torch.Tensor  # (B, Nq) valid keys per query
    causal: bool
    inputs: IntegerInputs | None = None  # what the hardware would be given; None in mode `float`

    def detached(self, inputs: IntegerInputs | None = None) -> "LayerCall":
        """The same call without gradients, with what the hardware would be given."""
        q, k, v = self.q.detach(), self.k.detach(), self.v.detach()
        return LayerCall(self.layer, q, k, v, self.counts, self.causal, inputs)


@dataclass(frozen=True)
class Statistics:
    """Pairs of query and key per layer and query head, since the last reset; padding is not counted."""

    valid: torch.Tensor  # (layers, H) int64, on the CPU
    kept: torch.Tensor  # (layers, H) int64

    @property
    def keep_ratio(self) -> float:
        """Kept over valid pairs of all layers and heads; 0 when nothing ran."""
        valid = int(self.valid.sum())
        return int(self.kept.sum()) / valid if valid else 0.0

    @property
    def keep_ratios(self) -> torch.Tensor:
        """Kept over valid pairs, (layers, H) float64; 0 where nothing ran."""
        return self.kept.double() / self.valid.clamp(min=1)


class LatteRuntime:
    """How the attention of a model is computed, and what came of it.

    Args:
        config: precision, split, reuse and rule. Causality comes from the model, and ``max_keys`` does not limit the
            window: longer ones stream through the core in tiles.
        thresholds: a row per attention layer.
        conditioning: what is done to q and k before quantisation.
        scales: "window" (steps and K means of every window by itself) or stored ones.
        mode: see the module.
        kappa: temperature of the soft mask in logits, for training; None leaves the soft mask out (evaluation).
        estimate_bits: replaces ``msb_bits`` in the estimate alone; 8 gives the limit of the rule, with the same scores.
        rule: replaces the configured rule.
        watch: called with every layer's call.
        clip: share of the greatest magnitude at which q and k saturate, for steps of the window (see
            :func:`golden.blocks.quantize.head_scales`).

    Everything but the configuration and the thresholds may be changed between forward passes. Raises
    :class:`LatteError` on an unknown mode or conditioning, and stored scales that do not fit.
    """

    def __init__(
        self,
        config: LatteConfig,
        thresholds: Thresholds,
        conditioning: tuple[str, ...] = (),
        scales: Literal["window"] | StaticScales = "window",
        mode: Mode = "soft",
        kappa: float | None = 0.25,
        *,
        estimate_bits: int | None = None,
        rule: KeepRule | None = None,
        watch: Callable[[LayerCall], None] | None = None,
        clip: float = 1.0,
    ) -> None:
        if estimate_bits is not None and not 2 <= estimate_bits <= TOTAL_BITS:
            raise LatteError(f"estimate_bits must be from 2 to {TOTAL_BITS}, not {estimate_bits}")
        if kappa is not None and not kappa > 0:
            raise LatteError(f"kappa must be above 0, not {kappa:g}")
        if not 0 < clip <= 1:
            raise LatteError(f"clip must be above 0 and at most 1, not {clip:g}")
        self.config, self.thresholds, self.clip = config, thresholds, clip
        self.conditioning, self.scales = check_conditioning(conditioning), scales
        self.kappa, self.estimate_bits, self.rule, self.watch = kappa, estimate_bits, rule, watch
        self.mode = mode
        if isinstance(scales, StaticScales):
            scales.check(thresholds.layers, thresholds.heads, smooth="smooth_k" in self.conditioning)
        self._last: dict[int, SoftResult] = {}
        self._totals: dict[int, torch.Tensor] = {}  # layer to (2, H) int64: valid and kept pairs

    @property
    def mode(self) -> Mode:
        """How attention is computed from the next forward pass on."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        if mode not in get_args(Mode):
            raise LatteError(f"mode must be one of {', '.join(get_args(Mode))}, not {mode!r}")
        self._mode: Mode = mode

    @contextmanager
    def using(self, mode: Mode) -> Iterator["LatteRuntime"]:
        """Within the block, another mode: for a teacher's forward pass, say."""
        before, self.mode = self.mode, mode
        try:
            yield self
        finally:
            self.mode = before

    def soft_keep(self) -> torch.Tensor:
        """Mean of the soft mask over the valid pairs of the last forward pass in mode `soft`; differentiable, scalar.

        Passes in other modes in between do not change it. :class:`LatteError` before the first one.
        """
        last = self._last_pass()
        return torch.stack([one.soft_kept for one in last]).sum() / torch.stack([one.valid for one in last]).sum()

    def soft_keep_per_head(self) -> torch.Tensor:
        """The same per layer and head, (layers, H)."""
        return torch.stack([one.soft_kept / one.valid.clamp(min=1) for one in self._last_pass()])

    def _last_pass(self) -> list[SoftResult]:
        if not self._last:
            raise LatteError("there is no soft keep ratio before a forward pass in mode soft with a kappa")
        return [self._last[layer] for layer in sorted(self._last)]

    def statistics(self) -> Statistics:
        """Valid and kept pairs of all forward passes in modes `soft` and `integer` since the last reset."""
        totals = torch.zeros(2, self.thresholds.layers, self.thresholds.heads, dtype=torch.int64)
        for layer, total in self._totals.items():
            totals[:, layer] = total.cpu()
        return Statistics(valid=totals[0], kept=totals[1])

    def reset_statistics(self) -> None:
        """Start counting anew."""
        self._totals.clear()

    def attend(self, call: LayerCall) -> torch.Tensor:
        """Output (B, H, Nq, D) float32 of a layer, in any mode but `float`."""
        tau = self.thresholds.tau()[call.layer].to(call.q.device)
        tensors = self.quantized(call)
        if self.watch is not None:
            self.watch(call.detached(self._inputs(tensors, tau, call.counts)))
        if self.mode == "integer":
            return self._integer(call.layer, self._inputs(tensors, tau, call.counts))
        if self.mode == "dense_int8":
            exact = HeadParams(self.config.replace(reuse=Reuse.EXACT))
            return soft_attention(tensors, call.counts, tau.detach(), KeepAll(), exact, kappa=None).out
        result = soft_attention(
            tensors,
            call.counts,
            tau,
            self.rule or configured_rule(self.config),
            HeadParams(self.config),
            kappa=self.kappa,
            estimate_bits=self.estimate_bits,
        )
        self._count(call.layer, result.valid, result.kept)
        if call.layer in self._last:
            self._last.clear()  # another forward pass has begun
        if result.soft_kept is not None:
            self._last[call.layer] = result
        return result.out

    def quantized(self, call: LayerCall) -> Quantized:
        """Conditioned and quantised tensors of a call, with straight-through gradients."""
        scales = self.scales.layer(call.layer, call.q.device) if isinstance(self.scales, StaticScales) else None
        real = real_keys(call.counts, call.k.shape[2])
        mean = None if scales is None else scales.k_mean
        q, k = condition(self.conditioning, call.q, call.k, real=real, k_mean=mean)
        return quantize_all(q, k, call.v, HeadParams(self.config), scales=scales, real=real, clip=self.clip)

    def _inputs(self, tensors: Quantized, tau: torch.Tensor, counts: torch.Tensor) -> IntegerInputs:
        params = HeadParams(self.config)
        return IntegerInputs.of(tensors, tau, counts, params, self.conditioning, self.estimate_bits)

    def _integer(self, layer: int, inputs: IntegerInputs) -> torch.Tensor:
        results = integer_attention(inputs, self.config, rule=self.rule, estimate_bits=self.estimate_bits)
        seen, _, kept = results["counters"].sum(0).unbind(-1)
        self._count(layer, seen, kept)
        group = inputs.q8.shape[1] // inputs.k8.shape[1]
        step = inputs.scale_v.repeat_interleave(group, dim=1) / 2**self.config.out_fraction_bits
        return results["out"].float() * step[:, :, None, None]

    def _count(self, layer: int, valid: torch.Tensor, kept: torch.Tensor) -> None:
        pairs = torch.stack([valid, kept])
        self._totals[layer] = self._totals[layer] + pairs if layer in self._totals else pairs
