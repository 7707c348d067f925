"""Feeds the head core a tensor file and records what comes out, one clock cycle at a time, in any simulator."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from latte_hw.params import ceil_div
from sim.head.traffic import Traffic
from sim.lib.layout import Description, Raw, to_raw
from sim.lib.recording import Beats, Recording
from sim.lib.streams import Flow, Monitor, Pace, StreamSink, StreamSource

SETTLE_CYCLES = 8
"""Cycles between a job's last output row and the reading of its counters."""

TAIL_CYCLES = 64
"""Cycles that the bench goes on after the last row, to catch rows that nobody asked for."""

PATIENCE_CYCLES = 4096
"""Cycles without any transfer, beyond a scan of every key, after which the core counts as hung."""

CHECK_CYCLES = 256
"""The watchdog looks once in so many cycles: it then costs nothing."""


@dataclass(frozen=True)
class Options:
    """How a run is paced. ``back_to_back`` issues each job as early as the core allows; otherwise a job waits until
    the core has drained the one before, so that the counters can be read for each head."""

    flow: Flow = Flow.FREE
    seed: int = 0
    probability: float = 0.5
    back_to_back: bool = False
    cycle_limit: int | None = None
    patience: int = PATIENCE_CYCLES


class HangError(Exception):
    """The core made no progress or ran past the cycle limit; the message says what is waiting for what."""


class Source(Protocol):
    """What a schedule does with an input stream."""

    name: str

    @property
    def valid(self) -> bool: ...
    @property
    def transfers(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    def push_raw(self, payloads: Raw) -> None: ...


class Observed(Protocol):
    """What a schedule knows of an output stream."""

    @property
    def transfers(self) -> int: ...


NEVER = 2**62


@dataclass(frozen=True)
class Decision:
    """When a schedule decides next: in ``cycle``, or in the cycle in which ``rows`` output rows or ``entries`` table
    entries have been transferred altogether, whichever comes first."""

    cycle: int
    rows: int
    entries: int


@dataclass
class HeadSchedule(ABC):
    """What is queued when in one run, when it ends, and when it hangs; the streams are a subclass's.

    :meth:`step` is called in every cycle after reset, when all transfers of the coming clock edge have been noted and
    before the streams decide what to drive after it; cycles before the next :attr:`decision` may be left out.
    """

    description: Description
    traffic: Traffic
    options: Options = field(default_factory=Options)
    sources: Mapping[str, Source] = field(init=False)
    sinks: Mapping[str, Observed] = field(init=False)

    def __post_init__(self) -> None:
        self.make_streams()
        self.cycle = 0
        self.counters: list[int] = []
        """Raw counters: after reset, then one sample a head (or one of the whole run, back to back)."""
        self.finished = False
        self._outputs = self.sinks["o_out"]
        self._rows = self.traffic.heads * self.traffic.queries
        self._tables = self._jobs = self._drained = 0  # heads whose table entry / job was queued / which have drained
        self._drained_at: int | None = None  # when the head that drains now is counted as drained
        self._entries, self._job_payloads, self._queries = self._payloads_of_jobs()
        self._queue_keys_and_values()

    @abstractmethod
    def make_streams(self) -> None:
        """Set ``sources`` and ``sinks``, a stream for every port."""

    @property
    @abstractmethod
    def last_transfer(self) -> int:
        """The cycle of the latest transfer of any stream or tap; 0 before the first."""

    @abstractmethod
    def recording(self) -> Recording:
        """Everything recorded so far."""

    def pace_of(self, name: str) -> Pace | None:
        """The random idle cycles of a source or back-pressure of a sink, if it has any."""
        flow = self.options.flow
        paced = flow.idles if name in {port.name for port in self.description.sources} else flow.stalls
        return Pace(name, self.options.seed, self.options.probability) if paced else None

    def _payloads_of_jobs(self) -> tuple[Raw, Raw, Raw]:
        """Table entries, jobs (a row a head) and queries (a row a query), packed all at once."""
        traffic, ports = self.traffic, self.description.ports
        heads = np.arange(traffic.heads)
        entry = heads % self.description.config.heads
        threshold = traffic.threshold.astype(np.int64)
        if not (register := ports["i_table"].field("threshold")).signed:
            threshold &= (1 << register.width) - 1  # raw register bits: two's complement of a static threshold
        mantissa, shift = traffic.softmax_scale.T
        low, high = ports["i_job"].field("causal_offset").limits
        offset = min(max(traffic.causal_offset, low), high)  # beyond: every key or none, as here
        jobs = {
            "head": entry,
            "n_queries": np.full(traffic.heads, traffic.queries),
            "causal_offset": np.full(traffic.heads, offset),
            "release": (heads + 1) % traffic.group == 0,
        }
        return (
            ports["i_table"].pack_raw({"head": entry, "threshold": threshold, "mantissa": mantissa, "shift": shift}),
            ports["i_job"].pack_raw(jobs),
            ports["i_q"].pack_raw(traffic.q8.reshape(-1, traffic.q8.shape[-1])),
        )

    def _queue_keys_and_values(self) -> None:
        traffic, ports = self.traffic, self.description.ports
        loads = ports["i_load"].pack_raw({"n_keys": np.full(traffic.kv_heads, traffic.keys)})
        self.sources["i_load"].push_raw(loads)
        for name, rows in (("i_k", traffic.k8), ("i_v", traffic.v8)):
            self.sources[name].push_raw(ports[name].pack_raw(rows.reshape(-1, rows.shape[-1])))

    # --- one cycle ------------------------------------------------------------------------------------------------

    def step(self, counters: Callable[[], int]) -> None:
        """Go on to the next cycle. ``counters`` reads the core's counters as they are in this one."""
        if self.cycle == 0:
            self.counters.append(counters())
        self._watch_outputs(counters)
        self._issue()
        self.cycle += 1
        if self.cycle % CHECK_CYCLES == 0:
            self._watchdog()

    @property
    def rows_done(self) -> int:
        """Output rows taken so far; a progress bar's unit, of ``heads · queries`` in all."""
        return self._outputs.transfers

    def _watch_outputs(self, counters: Callable[[], int]) -> None:
        if self.finished:
            return
        if self._drained_at is None and self.rows_done >= (self._drained + 1) * self.traffic.queries:
            last = self.rows_done >= self._rows
            wait = TAIL_CYCLES if last else 0 if self.options.back_to_back else SETTLE_CYCLES
            self._drained_at = self.cycle + wait
        if self._drained_at == self.cycle:
            self._drained, self._drained_at = self._drained + 1, None
            self.finished = self._drained == self.traffic.heads
            if self.finished or not self.options.back_to_back:
                self.counters.append(counters())

    def _issue(self) -> None:
        """Queue every table entry and job that may be queued now."""
        heads, entries = self.traffic.heads, self.description.config.heads
        # An entry may be rewritten once the job that used it has delivered its last row.
        while self._tables < heads and self._drained > self._tables - entries:
            self.sources["i_table"].push_raw(self._entries[self._tables, None])
            self._tables += 1
        written = self.sources["i_table"].transfers
        while self._jobs < written and self._may_issue:
            queries = self.traffic.queries
            self.sources["i_job"].push_raw(self._job_payloads[self._jobs, None])
            self.sources["i_q"].push_raw(self._queries[self._jobs * queries : (self._jobs + 1) * queries])
            self._jobs += 1

    @property
    def _may_issue(self) -> bool:
        """Whether a job whose table entry is written need not wait for the one before."""
        return self.options.back_to_back or self._jobs == self._drained

    @property
    def decision(self) -> Decision:
        """Until then :meth:`step` would do nothing but count cycles."""
        entries = self._jobs + 1 if self._may_issue else NEVER
        if self._drained_at is not None:
            return Decision(min(self._drained_at, self._next_check()), NEVER, entries)
        return Decision(self._next_check() if self.cycle else 0, (self._drained + 1) * self.traffic.queries, entries)

    # --- no run without an end ------------------------------------------------------------------------------------

    @property
    def _patience(self) -> int:
        return self.options.patience + 2 * self.description.config.max_keys

    def _watchdog(self) -> None:
        quiet, limit = self.cycle - self.last_transfer, self.options.cycle_limit
        if quiet > self._patience:
            raise HangError(f"nothing has moved for {quiet} cycles; {self._situation()}")
        if limit is not None and self.cycle > limit:
            raise HangError(f"the limit of {limit} cycles is passed; {self._situation()}")

    def _next_check(self) -> int:
        """The first cycle whose step can find that the run hangs, if nothing moves until then."""
        limit = NEVER if self.options.cycle_limit is None else self.options.cycle_limit
        first = max(self.cycle, min(self.last_transfer + self._patience, limit)) + 1
        return ceil_div(first, CHECK_CYCLES) * CHECK_CYCLES - 1

    def _situation(self) -> str:
        waiting = [
            f"{source.name} has {source.waiting} payloads left ({'not accepted' if source.valid else 'not offered'})"
            for source in self.sources.values()
            if source.waiting
        ]
        rows = f"o_out has delivered {self.rows_done} of {self._rows} rows"
        return f"cycle {self.cycle}: {'; '.join([rows, *waiting])}"


@dataclass
class HeadHarness(HeadSchedule):
    """Driver and monitor of one run, with streams that a bench moves cycle by cycle.

    A bench calls, in every cycle after reset: ``accept``/``take`` of the streams and taps for what is transferred at
    the coming clock edge; then :meth:`step`; then the streams' own ``step``, and drives what they say after the edge.
    """

    sources: Mapping[str, StreamSource] = field(init=False)
    sinks: Mapping[str, StreamSink] = field(init=False)

    def make_streams(self) -> None:
        self.sources = {port.name: self.make_source(port.name) for port in self.description.sources}
        self.sinks = {port.name: self.make_sink(port.name) for port in self.description.sinks}
        self.taps = {port.name: Monitor(port.name) for port in self.description.tap_ports}

    def make_source(self, name: str) -> StreamSource:
        """The driver of one input stream; a subclass may put one that does wrong in its place."""
        return StreamSource(name, self.pace_of(name))

    def make_sink(self, name: str) -> StreamSink:
        """The taker of one output stream; a subclass may put one that does wrong in its place."""
        return StreamSink(name, self.pace_of(name))

    @property
    def last_transfer(self) -> int:
        transfers = [source.accepted for source in self.sources.values()]
        transfers += [monitor.cycles for monitor in (*self.sinks.values(), *self.taps.values())]
        return max((cycles[-1] for cycles in transfers if cycles), default=0)

    def recording(self) -> Recording:
        ports = self.description.ports
        recording = Recording(self.cycle, to_raw(self.counters, ports["o_counters"].bytes))
        for name, monitor in (*self.sinks.items(), *self.taps.items()):
            raw = to_raw(monitor.payloads, ports[name].bytes)
            recording.beats[name] = Beats(raw, np.array(monitor.cycles, np.int64))
        for name, source in self.sources.items():
            recording.accepted[name] = np.array(source.accepted, np.int64)
        return recording
