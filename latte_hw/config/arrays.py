"""Arrays of numbers from a user, by the rules of :mod:`latte_hw.config.numbers`."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latte_hw.config.errors import LatteError
from latte_hw.config.numbers import LARGEST, number
from latte_hw.config.problems import quoted


def numbers(name: str, values: Any, shape: tuple[int, ...] | None = None) -> NDArray[np.float64]:
    """An array, or nested lists, of finite numbers: of the given shape, or one number per head.

    :class:`LatteError` names the first value that is none, or the shape.
    """
    if isinstance(values, (list, tuple)):
        for value in _leaves(values):
            number(name, value)
        try:
            array = np.asarray(values, np.float64)
        except ValueError:
            raise LatteError(f"{name} must have lists of equal lengths") from None
    else:
        given = np.asarray(values)
        if given.dtype.kind not in "iuf":
            raise LatteError(f"{name} must be numbers, not {quoted(values) if given.ndim == 0 else given.dtype}")
        array = given.astype(np.float64)
        for value in array[~(np.abs(array) <= LARGEST)][:1]:  # NaN, too
            number(name, value)
    if (array.ndim != 1) if shape is None else (array.shape != shape):
        per_head = ", one per head" if shape is not None and len(shape) == 1 else ""
        wanted = "be one number per head" if shape is None else f"have shape {shape}{per_head}"
        raise LatteError(f"{name} must {wanted}, not of shape {array.shape}")
    return array


def _leaves(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _leaves(value)
        else:
            yield from value.ravel() if isinstance(value, np.ndarray) else (value,)
