"""Everything that follows from a configuration, each quantity derived in exactly one place.

:class:`HeadParams` is what hardware, golden model, testbenches, driver and documents read: widths and counts come from
:mod:`latte_hw.params.widths`, depths and latencies from :mod:`latte_hw.params.latency`, bounds on cycles from
:mod:`latte_hw.params.bounds`, and the registers that depend on real-valued scales are computed here. Needs the standard
library only.
"""

import math
from dataclasses import dataclass

from latte_hw.params.bounds import HeadLaws
from latte_hw.params.widths import SCALE_MANTISSA_BITS, SCALE_SHIFT_BITS


@dataclass(frozen=True)
class HeadParams(HeadLaws):
    """Derived parameters of one head core."""

    def threshold_register(self, tau: float, scale_q: float, scale_k: float) -> int:
        """``floor(τ·√D / (s_q·s_k·2^(2L)))``, saturated to the register. τ in logits (natural logarithm)."""
        low, high = self.threshold_range
        steps = tau * math.sqrt(self.config.head_dim) / (scale_q * scale_k * 2.0 ** (2 * self.low_bits))
        if not math.isfinite(steps):
            return high if steps > 0 else low
        return min(max(math.floor(steps), low), high)

    def softmax_scale_register(self, scale_q: float, scale_k: float) -> tuple[int, int]:
        """(mantissa, shift) with ``mantissa · 2^−(shift + 1) ≈ s_q·s_k·log2(e)/√D · 2^exp_fraction_bits``.

        It turns a score distance into a base-2 exponent; see :mod:`golden.blocks.softmax` for its use. The relative
        error is at most 2^−16 while the shift fits; a smaller scale gives (0, 0), a larger one the greatest value.
        """
        logit = scale_q * scale_k / math.sqrt(self.config.head_dim)
        doubled = 2.0 * logit * math.log2(math.e) * 2.0**self.exp_fraction_bits
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
