"""Times of a chain of queues: when each item moves, from when the items before it moved. Cycles are integers.

A stage moves its items in order, at most one per cycle: `moved[n] = max(moved[n − 1] + 1, every condition of n)`. A
condition is a time from which on the item may move: its arrival, or when an earlier item
releases a word or a credit.
"""

import numpy as np
from numpy.typing import NDArray

from latte_hw.params import BLOCK_RAM_LANDING_DEPTH, fifo_words, in_block_ram

Times = NDArray[np.int64]

NEVER_BINDS = -(1 << 40)
"""A time before everything: no condition."""

LANDING_ITEMS = fifo_words(BLOCK_RAM_LANDING_DEPTH)
"""Items that may have been sent for from block RAM or wait behind it."""

LEAST_HELD = 256
"""Items beyond its reach that a history has space for, so that it seldom moves."""

INDEX = np.arange(1 << 16, dtype=np.int64)


def space(written: "History", taken: "History", depth: int, start: int, stop: int) -> Times:
    """From when on the items ``start`` to before ``stop`` may be written into a queue without credits: what was
    in their words has left the RAM, for the output register or for the short queue behind block RAM."""
    behind, after = (LANDING_ITEMS, 2) if in_block_ram(depth) else (1, 1)
    words = fifo_words(depth)
    return np.maximum(written.part(start, stop, words) + 2, taken.part(start, stop, words + behind) + after)


class History:
    """Times of a stage's items, by number. Those before the first are `NEVER_BINDS`, those to come too.

    Only the last ones are held: of the items before the one that a call names, ``reach`` at least. So a head of any
    length takes as much memory as its longest row.
    """

    def __init__(self, reach: int) -> None:
        self._reach = reach
        self._first = -reach  # number of the oldest item that is held
        self._times = np.full(reach + LEAST_HELD, NEVER_BINDS, np.int64)

    def __getitem__(self, item: int) -> int:
        if item < self._first:
            raise IndexError(f"item {item} is no longer held: the oldest one is {self._first}")
        return int(self._times[item - self._first])

    def __setitem__(self, item: int, time: int) -> None:
        self._hold(item, item + 1)
        self._times[item - self._first] = time

    def part(self, start: int, stop: int, behind: int = 0) -> Times:
        """Times of the items from ``start − behind`` to before ``stop − behind``; ``behind`` is at most the reach."""
        self._hold(start, stop)
        first = self._first + behind
        return self._times[start - first : stop - first]

    def set(self, start: int, times: Times) -> None:
        stop = start + len(times)
        self._hold(start, stop)
        self._times[start - self._first : stop - self._first] = times

    def _hold(self, start: int, stop: int) -> None:
        """Make space for items to before ``stop``; what lies more than the reach before ``start`` may go."""
        if stop - self._first <= len(self._times):
            return
        first = start - self._reach
        held = self._times[first - self._first :]
        self._times = np.full(2 * (stop - first) + LEAST_HELD, NEVER_BINDS, np.int64)
        self._times[: len(held)] = held
        self._first = first


def one_per_cycle(conditions: Times, before: int) -> Times:
    """When items move that may move from ``conditions`` on, one per cycle, after one that moved at ``before``."""
    index = INDEX[: len(conditions)]
    moved = np.maximum.accumulate(np.maximum(conditions - index, before + 1))
    return moved + index


class Credits:
    """The credits of a queue, taken in order and returned in any: some items bring no result.

    Credit n may be taken once at most `count` − 1 of the n before it are still held: a cycle after the
    (n − count + 1)-th return.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._taken = 0
        self._held = np.zeros(0, np.int64)  # when the last ones returned: not all of them yet

    def conditions(self, count: int, returned: Times) -> Times:
        """From when on the next ``count`` credits may be taken; those among them return at ``returned``, as far as
        known."""
        free_before = self._taken - len(self._held)
        wanted = self._taken + INDEX[:count] - self.count - free_before  # which return each waits for
        if wanted[-1] < 0:
            return np.full(count, NEVER_BINDS, np.int64)
        times = np.sort(np.concatenate([self._held, returned]))
        return np.where(wanted < 0, NEVER_BINDS, times[np.maximum(wanted, 0)] + 1)

    def take(self, taken: Times, returned: Times) -> None:
        """The next ones are taken at ``taken``, which is in order, and return at ``returned``."""
        self._taken += len(taken)
        times = np.concatenate([self._held, returned])
        self._held = times[times >= taken[-1]]
