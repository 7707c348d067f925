"""Times of a chain of queues: when each item moves, from when the items before it moved. Cycles are integers.

A stage moves its items in order, at most one per cycle: `moved[n] = max(moved[n − 1] + 1, every condition of n)`. A
condition is a time from which on the item may move: its arrival, or the place that an earlier item gives free.
"""

import numpy as np
from numpy.typing import NDArray

from latte_hw.params import BLOCK_RAM_LANDING_DEPTH, fifo_words, in_block_ram

Times = NDArray[np.int64]

NEVER_BINDS = -(1 << 40)
"""A time before everything: no condition."""

LANDING_PLACES = fifo_words(BLOCK_RAM_LANDING_DEPTH)
"""Items that may be on their way from block RAM or wait behind it."""

INDEX = np.arange(1 << 16, dtype=np.int64)


def room(written: "History", taken: "History", depth: int, start: int, stop: int) -> Times:
    """From when on the items ``start`` to before ``stop`` may be written into a queue that nothing is reserved in: what
    was in their place has left the RAM, for the output register or for the short queue behind block RAM."""
    behind, after = (LANDING_PLACES, 2) if in_block_ram(depth) else (1, 1)
    words = fifo_words(depth)
    return np.maximum(written.part(start, stop, words) + 2, taken.part(start, stop, words + behind) + after)


class History:
    """Times of a stage's items, by number. Those before the first are `NEVER_BINDS`, those to come too."""

    def __init__(self, items: int, reach: int) -> None:
        self._reach = reach
        self._times = np.full(reach + items, NEVER_BINDS, np.int64)

    def __getitem__(self, item: int) -> int:
        return int(self._times[self._reach + item])

    def __setitem__(self, item: int, time: int) -> None:
        self._times[self._reach + item] = time

    def part(self, start: int, stop: int, behind: int = 0) -> Times:
        """Times of the items from ``start − behind`` to before ``stop − behind``; ``behind`` is at most the reach."""
        first = self._reach - behind
        return self._times[first + start : first + stop]

    def set(self, start: int, times: Times) -> None:
        self._times[self._reach + start : self._reach + start + len(times)] = times


def one_per_cycle(conditions: Times, before: int) -> Times:
    """When items move that may move from ``conditions`` on, one per cycle, after one that moved at ``before``."""
    index = INDEX[: len(conditions)]
    moved = np.maximum.accumulate(np.maximum(conditions - index, before + 1))
    return moved + index


class Reservations:
    """The places of a queue that are reserved in order and given back in any: some bring nothing and are cancelled.

    Reservation n may be made once at most `places` − 1 of the n before it are still held: a cycle after the
    (n − places + 1)-th giving back.
    """

    def __init__(self, places: int) -> None:
        self.places = places
        self._made = 0
        self._held = np.zeros(0, np.int64)  # when the last ones were given back: not all of them yet

    def conditions(self, count: int, given_back: Times) -> Times:
        """From when on the next ``count`` reservations may be made; those among them given back at ``given_back``, as
        far as known."""
        free_before = self._made - len(self._held)
        wanted = self._made + INDEX[:count] - self.places - free_before  # which giving back each waits for
        if wanted[-1] < 0:
            return np.full(count, NEVER_BINDS, np.int64)
        times = np.sort(np.concatenate([self._held, given_back]))
        return np.where(wanted < 0, NEVER_BINDS, times[np.maximum(wanted, 0)] + 1)

    def make(self, made: Times, given_back: Times) -> None:
        """The next ones are made at ``made``, which is in order, and given back at ``given_back``."""
        self._made += len(made)
        times = np.concatenate([self._held, given_back])
        self._held = times[times >= made[-1]]
