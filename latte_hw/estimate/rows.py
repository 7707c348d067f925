"""What of a query concerns its lane: which beats go through the filter's queues, and the items that come out."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from latte_hw.estimate.queues import Times


@dataclass(frozen=True)
class Row:
    """A query's beats. The queues in the filter hold them R at a time, see :mod:`latte_hw.core.key_pairs`."""

    needed: NDArray[np.bool_]  # beats of its scan that the early drop leaves, and the last one
    kept: Times  # kept keys of each of those
    kept_per_cycle: int  # R

    @property
    def beats(self) -> int:
        return len(self.needed)

    @cached_property
    def completing(self) -> NDArray[np.int64]:
        """The beat with which each entry of the survivors' queue is complete: every R-th needed one, and the last."""
        needed = np.flatnonzero(self.needed)
        completing = np.arange(self.kept_per_cycle - 1, len(needed) + self.kept_per_cycle - 1, self.kept_per_cycle)
        return needed[np.minimum(completing, len(needed) - 1)]

    @property
    def entries(self) -> int:
        return len(self.completing)

    @cached_property
    def used_with(self) -> NDArray[np.int64]:
        """For every beat the one with which its credit is used or returned: itself, unless it waits for another to
        complete an entry."""
        beats = np.arange(self.beats)
        completing = self.completing[np.searchsorted(self.completing, beats)]
        return np.where(self.needed, completing, beats)

    @cached_property
    def items(self) -> Times:
        """What leaves the filter for each entry: R kept keys each, one left over goes with the next entry; at the end
        of the row at least one item, be it without a key."""
        of_entries = np.add.reduceat(self.kept, np.arange(0, len(self.kept), self.kept_per_cycle))
        so_far = np.concatenate([[0], np.cumsum(of_entries)])
        items = np.diff(so_far // self.kept_per_cycle)
        items[-1] = max(1, -(-so_far[-1] // self.kept_per_cycle) - so_far[-2] // self.kept_per_cycle)
        return items
