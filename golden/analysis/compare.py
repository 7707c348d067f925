"""First difference between two results, in the order in which the hardware computes them."""

from collections.abc import Mapping

import numpy as np

from golden.blocks.arith import Array
from golden.blocks.head import COUNTER_NAMES
from latte_hw.config.errors import MismatchError

STAGES = ("estimate", "keep", "score", "prob", "out")
ORDER = (*STAGES, "counters")

_AXES = dict.fromkeys(STAGES, ("head", "query", "key")) | {
    "out": ("head", "query", "dimension"),
    "counters": ("head", "counter"),
}


def first_difference(expected: Mapping[str, Array], got: Mapping[str, Array]) -> str | None:
    """One sentence on the first difference, or None when there is none.

    Stages come first, in :data:`ORDER`, then every other name that both hold. A stage or the counters that only one
    of the two holds is a difference; any other such name is not (a simulation may add its own `cycles`).
    """
    for name in ORDER:
        if (name in expected) != (name in got):
            return f"{name} is missing from the {'got' if name in expected else 'expected'} result"
        if name in expected and (difference := _difference(name, expected[name], got[name])):
            return difference
    for name in sorted((expected.keys() & got.keys()) - set(ORDER)):
        if difference := _difference(name, expected[name], got[name]):
            return difference
    return None


def check_equal(expected: Mapping[str, Array], got: Mapping[str, Array]) -> None:
    """Raise :class:`MismatchError` with the text of :func:`first_difference` if there is one."""
    difference = first_difference(expected, got)
    if difference is not None:
        raise MismatchError(difference)


def _difference(name: str, expected: Array, got: Array) -> str | None:
    if expected.shape != got.shape:
        return f"{name} has shape {got.shape}, expected {expected.shape}"
    differs = expected != got
    count = int(np.count_nonzero(differs))
    if count == 0:
        return None
    index = np.unravel_index(int(np.argmax(differs)), expected.shape)
    position = _position(name, tuple(int(part) for part in index))
    return (
        f"{name} differs first at {position}: expected {_plain(expected[index])}, got {_plain(got[index])} "
        f"({count} of {expected.size} values differ)"
    )


def _position(name: str, index: tuple[int, ...]) -> str:
    axes = _AXES.get(name, ())
    if len(axes) != len(index):
        return f"index {index}"
    parts = [f"{axis} {value}" for axis, value in zip(axes, index, strict=True)]
    if name == "counters" and index[1] < len(COUNTER_NAMES):
        parts[1] = f"counter {COUNTER_NAMES[index[1]]}"
    return ", ".join(parts)


def _plain(value: np.generic) -> object:
    return value.item()
