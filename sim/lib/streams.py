"""Ready/valid models, one step a clock cycle, that know nothing of the simulator which moves them.

A bench samples the core just before a clock edge, calls :meth:`StreamSource.accept` or :meth:`Monitor.take` for every
transfer that happens at that edge, then :meth:`StreamSource.step` and :meth:`StreamSink.step`, and drives what those
say after the edge.
"""

from collections import deque
from collections.abc import Iterable
from enum import StrEnum
from random import Random

import numpy as np
from numpy.typing import NDArray

from sim.lib.layout import Raw, to_integers


class Flow(StrEnum):
    """Who stalls the flow, at random: nobody, the sources (idle), the sinks (stalled), or both."""

    FREE = "free"
    IDLE = "idle"
    STALLED = "stalled"
    BOTH = "both"

    @property
    def idles(self) -> bool:
        return self in (Flow.IDLE, Flow.BOTH)

    @property
    def stalls(self) -> bool:
        return self in (Flow.STALLED, Flow.BOTH)


class Pace:
    """Whether a stream may start a transfer in a cycle: with ``probability``, from a generator seeded by name.

    Every stream has a generator of its own, so that a seed means the same run in every simulator. Draws are taken one
    by one or as an array; they are the same.
    """

    BLOCK = 1024

    def __init__(self, name: str, seed: int, probability: float) -> None:
        _, (*key, position), _ = Random(f"{seed}/{name}").getstate()
        generator = np.random.MT19937()
        generator.state = {"bit_generator": "MT19937", "state": {"key": np.array(key, np.uint32), "pos": position}}
        self._random = np.random.Generator(generator).random  # what Random.random would give, many at a time
        self._probability = probability
        self._ahead: list[bool] = []  # what `go` gives next, last first

    def draw(self, count: int) -> NDArray[np.bool_]:
        """The next ``count`` draws, for a loop elsewhere; not to be mixed with :meth:`go`."""
        return self._random(count) < self._probability

    def go(self) -> bool:
        if not self._ahead:
            self._ahead = self.draw(self.BLOCK).tolist()[::-1]
        return self._ahead.pop()


class StreamSource:
    """Offers queued payloads in order. Once ``valid``, it and ``payload`` stay until the transfer (the stream rule)."""

    def __init__(self, name: str, pace: Pace | None = None) -> None:
        self.name = name
        self.valid = False
        self.payload = 0
        self.accepted: list[int] = []
        """Cycle of each transfer."""
        self._queue: deque[int] = deque()
        self._pace = pace

    def push(self, payloads: Iterable[int]) -> None:
        self._queue.extend(payloads)

    def push_raw(self, payloads: Raw) -> None:
        self.push(to_integers(payloads))

    @property
    def transfers(self) -> int:
        """Payloads transferred so far."""
        return len(self.accepted)

    @property
    def waiting(self) -> int:
        """Payloads not transferred yet."""
        return len(self._queue) + self.valid

    def accept(self, cycle: int) -> None:
        """The offered payload was transferred at the end of ``cycle``."""
        self.accepted.append(cycle)
        self.valid = False

    def step(self) -> bool:
        """Decide what to drive in the next cycle; true when a payload is offered that was not offered before."""
        if self.valid or not self._queue or (self._pace is not None and not self._pace.go()):
            return False
        self.payload = self._queue.popleft()
        self.valid = True
        return True


class Monitor:
    """Records payloads with the cycle in which each was seen. A tap is a monitor."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.payloads: list[int] = []
        self.cycles: list[int] = []

    @property
    def transfers(self) -> int:
        """Payloads seen so far."""
        return len(self.payloads)

    def take(self, cycle: int, payload: int) -> None:
        self.payloads.append(payload)
        self.cycles.append(cycle)


class StreamSink(Monitor):
    """Takes whatever is offered while it is ``ready``."""

    def __init__(self, name: str, pace: Pace | None = None) -> None:
        super().__init__(name)
        self.ready = False
        self._pace = pace

    def step(self) -> None:
        """Decide whether to be ready in the next cycle."""
        self.ready = self._pace is None or self._pace.go()
