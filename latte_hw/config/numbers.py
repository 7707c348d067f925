"""Numbers from a user: of the kinds that count as one, and finite. Truth values, strings and None are none."""

from numbers import Integral, Real
from typing import Any

from latte_hw.config.errors import LatteError
from latte_hw.config.head import Rule
from latte_hw.config.problems import quoted

LARGEST = float.fromhex("0x1.fffffep127")
"""Of float32, which models and files hold."""


def number(name: str, value: Any) -> float:
    """The value as a float; :class:`LatteError` unless it is a number that is finite in float32."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number:
        raise LatteError(f"{name} must be a number, not {quoted(value)}")
    if not -LARGEST <= value <= LARGEST:  # NaN, too; an integer may be too large for a float
        shown = value if isinstance(value, Integral) else float(value)
        raise LatteError(f"{name} must be finite, at most {LARGEST:.2g}, not {quoted(shown)}")
    return float(value)


def integer(name: str, value: Any) -> int:
    """The value as an int; :class:`LatteError` unless it is of an integer type."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise LatteError(f"{name} must be an integer, not {quoted(value)}")
    return int(value)


def threshold(value: Any, rule: Rule, name: str = "tau") -> float:
    """A threshold in logits, the one way in: :class:`LatteError` unless it is a number that means something.

    That is a finite number; for the differential rule 0 or more, since nothing is above the best of a row.
    """
    checked = number(name, value)
    if rule is Rule.DIFFERENTIAL and checked < 0:
        raise LatteError(f"{name} must be 0 or more for the differential rule, not {quoted(checked)}")
    return checked


def step_product(scale_q: Any, scale_k: Any) -> float:
    """``s_q·s_k``; :class:`LatteError` unless both int8 steps, and their product, are above 0 and finite."""
    steps = [number(name, value) for name, value in (("scale_q", scale_q), ("scale_k", scale_k))]
    for name, step in zip(("scale_q", "scale_k"), steps, strict=True):
        if step <= 0:
            raise LatteError(f"{name} must be above 0 and finite, not {quoted(step)}")
    product = steps[0] * steps[1]
    if not product > 0:
        raise LatteError(f"scale_q * scale_k must be above 0, not {quoted(steps[0])} * {quoted(steps[1])}")
    return product
