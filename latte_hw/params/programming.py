"""How the words of a head's table follow from real numbers, as text: for the register map and all that comes from it,
the JSON beside the Verilog, the C functions and the pages. Needs the standard library only.

The numbers come from :class:`latte_hw.params.head.HeadParams`, the example from its functions; a test evaluates the
formulas as they are written here and compares.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from latte_hw.config import Rule
from latte_hw.params.head import HeadParams
from latte_hw.params.widths import SCALE_MANTISSA_BITS, SCALE_SHIFT_BITS, Range

EXAMPLE_TAU, EXAMPLE_SCALE_Q, EXAMPLE_SCALE_K = 4.0, 0.05, 0.04
"""Logits of q·k/√D and elements up to about 6 and 5, as models have."""


@dataclass(frozen=True)
class Example:
    """A worked example: real numbers and the fields that they become."""

    tau: float
    scale_q: float
    scale_k: float
    threshold: int
    mantissa: int
    shift: int


@dataclass(frozen=True)
class Programming:
    """Formulas of one configuration. They are arithmetic as Python and a pocket calculator understand it."""

    params: HeadParams

    # --- elements -----------------------------------------------------------------------------------------------

    @property
    def element_ranges(self) -> dict[str, Range]:
        """Least and greatest element of q, k and v."""
        return {name: (-self.params.widths.value_max - 1, self.params.widths.greatest(name)) for name in "qkv"}

    @property
    def quantities(self) -> str:
        """What stands in the formulas, and the usual steps."""
        widths = self.params.widths
        return (
            "tau is the threshold in logits (natural logarithm); scale_q and scale_k are the int8 steps of the head's "
            "q and k, the real number that one unit of an element stands for, which is max|q| / "
            f"{widths.quant_max} and max|k| / {widths.quant_max} if nothing is to saturate. An output element is worth "
            f"the step of v, max|v| / {widths.value_max}, divided by 2**{self.params.config.out_fraction_bits}"
        )

    # --- threshold ----------------------------------------------------------------------------------------------

    @property
    def estimate_step(self) -> str:
        """Logits that one step of the estimate, and of a threshold, is worth."""
        return f"scale_q * scale_k * {self._estimate_unit} / sqrt({self.params.config.head_dim})"

    @property
    def threshold_formula(self) -> str:
        steps = f"floor(tau * sqrt({self.params.config.head_dim}) / (scale_q * scale_k * {self._estimate_unit}))"
        low, high = self.params.widths.threshold_range
        return f"min({steps}, {high})" if low == 0 else f"max(min({steps}, {high}), {low})"

    @property
    def threshold_text(self) -> str:
        """Meaning, formula, units and range of the word."""
        low, high = self.params.widths.threshold_range
        if self.params.config.rule is Rule.STATIC:
            meaning = "The least estimate of a kept key; the row's best is always kept"
            ends = f"{low} keeps every valid key"
        else:
            meaning = "How far below the row's best estimate a kept key may lie"
            ends = f"0 keeps the best and its ties, {high} every valid key"
        return (
            f"{meaning}: `threshold = {self.threshold_formula}`. A whole number of steps of the estimate, no fraction "
            f"bits; a step is `{self.estimate_step}` logits. {ends}."
        )

    # --- softmax scale ------------------------------------------------------------------------------------------

    @property
    def exponent_formula(self) -> str:
        """`x`: twice the exponent's last fraction bits that one unit of a score is worth."""
        root, bits = f"sqrt({self.params.config.head_dim})", self.params.widths.exp_fraction_bits
        return f"2 * (scale_q * scale_k / {root}) * log2(e) * 2**{bits}"

    @property
    def shift_formula(self) -> str:
        return f"{SCALE_MANTISSA_BITS - 1} - floor(log2(x))"

    mantissa_formula = "round(x * 2**shift)"

    @property
    def scale_text(self) -> str:
        """Meaning, formula, units and limits of the word."""
        greatest, bits = 2**SCALE_MANTISSA_BITS - 1, self.params.widths.exp_fraction_bits
        return (
            "What turns a distance of scores into a base-2 exponent in fixed point: `distance * mantissa / "
            f"2**(shift + 1)`, with {bits} fraction bits. With `x = {self.exponent_formula}`: "
            f"`shift = {self.shift_formula}`, `mantissa = {self.mantissa_formula}`, ties to even; a mantissa of "
            f"{greatest + 1} becomes {(greatest + 1) // 2} with a shift of one less. With a shift below 0 the word is "
            f"mantissa {greatest}, shift 0; above {2**SCALE_SHIFT_BITS - 1} it is 0. A model that scales q*k by "
            "another factor than 1/sqrt(head_dim) multiplies scale_q by that factor * sqrt(head_dim), here and for the "
            "threshold."
        )

    # --- both ---------------------------------------------------------------------------------------------------

    @cached_property
    def example(self) -> Example:
        scales = EXAMPLE_SCALE_Q, EXAMPLE_SCALE_K
        threshold = self.params.threshold_register(EXAMPLE_TAU, *scales)
        return Example(EXAMPLE_TAU, *scales, threshold, *self.params.softmax_scale_register(*scales))

    @property
    def example_text(self) -> str:
        given = self.example
        return (
            f"Example: tau = {given.tau:g}, scale_q = {given.scale_q:g} and scale_k = {given.scale_k:g} give "
            f"threshold = {given.threshold}, mantissa = {given.mantissa}, shift = {given.shift}."
        )

    def as_data(self) -> dict[str, Any]:
        """All of it as plain data, for JSON."""
        low, high = self.params.widths.threshold_range
        return {
            "elements": {name: {"least": low, "greatest": high} for name, (low, high) in self.element_ranges.items()},
            "quantities": self.quantities,
            "threshold": {
                "formula": self.threshold_formula,
                "least": low,
                "greatest": high,
                "fraction_bits": 0,
                "unit": "steps of the estimate",
                "logits_per_step": self.estimate_step,
            },
            "scale": {
                "x": self.exponent_formula,
                "shift": self.shift_formula,
                "mantissa": self.mantissa_formula,
                "mantissa_bits": SCALE_MANTISSA_BITS,
                "shift_bits": SCALE_SHIFT_BITS,
                "exponent": "distance of scores * mantissa / 2**(shift + 1), base 2",
                "exponent_fraction_bits": self.params.widths.exp_fraction_bits,
            },
            "example": vars(self.example),
        }

    @property
    def _estimate_unit(self) -> int:
        """Products of two elements that one step of the estimate is worth."""
        return 4**self.params.widths.low_bits
