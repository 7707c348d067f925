"""Everything that follows from a configuration, composed: each quantity is derived in exactly one place.

:class:`HeadParams` is what hardware, golden model, testbenches, driver and documents read. The registers that depend on
real-valued scales are computed here. Needs the standard library only.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from latte_hw.config import LatteConfig
from latte_hw.config.numbers import step_product, threshold
from latte_hw.params.bounds import Bounds
from latte_hw.params.depths import Depths
from latte_hw.params.division import Division, quick_lanes
from latte_hw.params.dot import DotTiming
from latte_hw.params.latency import STORE, Latency
from latte_hw.params.pipeline import Pipeline, pipeline_of
from latte_hw.params.widths import SCALE_MANTISSA_BITS, SCALE_SHIFT_BITS, Widths, ceil_div


class CoreParams(Protocol):
    """What blocks need that are part of every datapath."""

    @property
    def config(self) -> LatteConfig: ...

    @property
    def widths(self) -> Widths: ...

    @property
    def pipeline(self) -> Pipeline: ...

    @property
    def scan_dot(self) -> DotTiming: ...

    @property
    def division(self) -> Division: ...

    @property
    def latency(self) -> Latency: ...


@dataclass(frozen=True)
class HeadParams:
    """Derived parameters of one head core."""

    config: LatteConfig

    @cached_property
    def widths(self) -> Widths:
        """Ranges, widths, counts and addresses."""
        return Widths(self.config)

    @cached_property
    def pipeline(self) -> Pipeline:
        """Register slices on long connections."""
        return pipeline_of(self.config)

    @cached_property
    def scan_dot(self) -> DotTiming:
        """Of the estimator."""
        return DotTiming(self.config.dot_choice, STORE + self.pipeline.store_read, self.pipeline.table_fill)

    @cached_property
    def reuse_dot(self) -> DotTiming:
        """Of the dot products that complete the scores of kept keys."""
        return DotTiming(self.config.reuse_choice, STORE + self.pipeline.store_read, self.pipeline.table_fill)

    @cached_property
    def division(self) -> Division:
        """Lanes that keep up with queries that take F cycles each. Half as many where several queries share a scan; but
        two elements of a value fill a word of its block RAM."""
        alone = quick_lanes(self.config.head_dim)
        shared = max(min(2, alone), ceil_div(alone, 2))
        return Division(self.config.head_dim, alone if self.config.queries_per_scan == 1 else shared)

    @cached_property
    def latency(self) -> Latency:
        """Latencies of the blocks, in cycles."""
        return Latency(self.config, self.widths, self.pipeline, self.division, self.scan_dot, self.reuse_dot)

    @cached_property
    def depths(self) -> Depths:
        """Depths of the queues, in items."""
        return Depths(self.config, self.widths, self.division, self.latency)

    @cached_property
    def bounds(self) -> Bounds:
        """Bounds on cycles."""
        return Bounds(self.config, self.widths, self.division, self.latency, self.depths)

    def threshold_register(self, tau: float, scale_q: float, scale_k: float) -> int:
        """``floor(τ·√D / (s_q·s_k·2^(2L)))``, saturated to the register. τ in logits (natural logarithm).

        A τ that saturates keeps every key that the greatest value keeps. Raises :class:`LatteError` on what is no
        threshold (:func:`latte_hw.config.numbers.threshold`), and on steps that are not above 0.
        """
        low, high = self.widths.threshold_range
        step = step_product(scale_q, scale_k) * 2.0 ** (2 * self.widths.low_bits)
        steps = threshold(tau, self.config.rule) * math.sqrt(self.config.head_dim) / step
        if not math.isfinite(steps):
            return high if steps > 0 else low
        return min(max(math.floor(steps), low), high)

    def softmax_scale_register(self, scale_q: float, scale_k: float) -> tuple[int, int]:
        """(mantissa, shift) with ``mantissa · 2^−(shift + 1) ≈ s_q·s_k·log2(e)/√D · 2^exp_fraction_bits``.

        It turns a score distance into a base-2 exponent; see :mod:`golden.blocks.softmax` for its use. The relative
        error is at most 2^−16 while the shift fits; a smaller scale gives (0, 0), a larger one the greatest value.
        Raises :class:`LatteError` on steps that are not above 0.
        """
        logit = step_product(scale_q, scale_k) / math.sqrt(self.config.head_dim)
        doubled = 2.0 * logit * math.log2(math.e) * 2.0**self.widths.exp_fraction_bits
        if doubled == 0:
            return 0, 0
        if math.isinf(doubled):
            return 2**SCALE_MANTISSA_BITS - 1, 0
        fraction, exponent = math.frexp(doubled)
        mantissa = round(fraction * 2**SCALE_MANTISSA_BITS)
        if mantissa == 2**SCALE_MANTISSA_BITS:
            mantissa, exponent = mantissa // 2, exponent + 1
        shift = SCALE_MANTISSA_BITS - exponent
        if shift < 0:
            return 2**SCALE_MANTISSA_BITS - 1, 0
        if shift >= 2**SCALE_SHIFT_BITS:
            return 0, 0
        return mantissa, shift
