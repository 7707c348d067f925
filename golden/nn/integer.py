"""Integer attention in torch, bit-equal to :func:`golden.attention.attention` on every array, on CPU and CUDA.

The same stages in the same integers; queries are taken in tiles, so that 8192 tokens fit a GPU.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch

from golden.head import COUNTER_NAMES
from golden.nn.exact import FLOAT32_EXACT, exact_float32, grouped_matmul
from golden.nn.quantize import Quantized, softmax_registers, threshold_registers
from golden.nn.rules import KeepRule, ScoreTile, configured_rule
from golden.nn.scores import Operands
from golden.nn.valid import tiles, valid_counts
from golden.quantize import INT8_MIN
from golden.softmax import guarded_table
from golden.tensors import TensorFile
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
    ) -> "IntegerInputs":
        """From quantised tensors and thresholds tau (H,) in logits."""
        q8, k8, v8 = (x.detach().to(torch.int8) for x in (tensors.q, tensors.k, tensors.v))
        scales = (tensors.scale_q, tensors.scale_k, tensors.scale_v)
        tau_int = threshold_registers(tau, tensors.scale_q, tensors.scale_k, params)
        registers = softmax_registers(tensors.scale_q, tensors.scale_k, params)
        return cls(q8, k8, v8, *scales, tau_int, *registers, counts, conditioning)

    @classmethod
    def of_file(cls, tensors: TensorFile, config: LatteConfig, device: torch.device | str = "cpu") -> "IntegerInputs":
        """One window, B = 1, from a checked tensor file; causality is the configuration's."""
        names = ("q8", "k8", "v8", "scale_q", "scale_k", "scale_v", "tau_int")
        arrays = [torch.from_numpy(getattr(tensors, name).copy())[None].to(device) for name in names]
        scale = torch.from_numpy(tensors.softmax_scale.copy())[None].to(device)
        offset = tensors.causal_offset if config.causal else None
        counts = valid_counts(1, tensors.q8.shape[1], tensors.k8.shape[1], offset, device)
        return cls(*arrays, scale[..., 0], scale[..., 1], counts, tensors.conditioning)

    def to_file(self, window: int) -> TensorFile:
        """The tensor file of one window without its padding, for the NumPy golden model with the same causality."""
        counts = self.counts[window].cpu()
        n_keys = int(counts.max())
        n_queries = int(counts.count_nonzero())
        offset = int(counts[0]) - 1 if n_queries else 0

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
    raise NotImplementedError
