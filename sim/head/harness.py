"""Feeds the head core a tensor file and records what comes out, one clock cycle at a time, in any simulator."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from sim.head.traffic import Traffic
from sim.lib.layout import Description, to_raw
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


@dataclass
class HeadHarness:
    """Driver and monitor of one run.

    A bench calls, in every cycle after reset: ``accept``/``take`` of the streams and taps for what is transferred at
    the coming clock edge; then :meth:`step`; then the streams' own ``step``, and drives what they say after the edge.
    """

    description: Description
    traffic: Traffic
    options: Options = field(default_factory=Options)

    def __post_init__(self) -> None:
        self.sources = {port.name: self.make_source(port.name) for port in self.description.sources}
        self.sinks = {port.name: self.make_sink(port.name) for port in self.description.sinks}
        self.taps = {port.name: Monitor(port.name) for port in self.description.tap_ports}
        self.cycle = 0
        self.counters: list[int] = []
        """Raw counters: after reset, then one sample a head (or one of the whole run, back to back)."""
        self.finished = False
        self._outputs = self.sinks["o_out"]
        self._rows = self.traffic.heads * self.traffic.queries
        self._tables = self._jobs = self._drained = 0  # heads whose table entry / job was queued / which have drained
        self._drained_at: int | None = None  # when the head that drains now is counted as drained
        self._moved, self._moved_at = 0, 0
        self._queue_keys_and_values()

    def make_source(self, name: str) -> StreamSource:
        """The driver of one input stream; a subclass may put one that does wrong in its place."""
        return StreamSource(name, self._pace(name, self.options.flow.idles))

    def make_sink(self, name: str) -> StreamSink:
        """The taker of one output stream; a subclass may put one that does wrong in its place."""
        return StreamSink(name, self._pace(name, self.options.flow.stalls))

    def _pace(self, name: str, held_up: bool) -> Pace | None:
        return Pace(name, self.options.seed, self.options.probability) if held_up else None

    def _pack(self, name: str, **values: ArrayLike) -> list[int]:
        return self.description.ports[name].pack({key: np.atleast_1d(value) for key, value in values.items()})

    def _queue_keys_and_values(self) -> None:
        traffic, ports = self.traffic, self.description.ports
        self.sources["i_load"].push(self._pack("i_load", n_keys=np.full(traffic.kv_heads, traffic.keys)))
        for name, rows in (("i_k", traffic.k8), ("i_v", traffic.v8)):
            self.sources[name].push(ports[name].pack(rows.reshape(-1, rows.shape[-1])))

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
        return len(self._outputs.payloads)

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
            self._queue_table_entry(self._tables)
            self._tables += 1
        written = len(self.sources["i_table"].accepted)
        while self._jobs < written and (self.options.back_to_back or self._jobs == self._drained):
            self._queue_job(self._jobs)
            self._jobs += 1

    def _queue_table_entry(self, head: int) -> None:
        field = self.description.ports["i_table"].field("threshold")
        mantissa, shift = (int(part) for part in self.traffic.softmax_scale[head])
        threshold = int(self.traffic.threshold[head])
        if not field.signed:
            threshold &= (1 << field.width) - 1  # raw register bits: two's complement of a static threshold
        self.sources["i_table"].push(
            self._pack("i_table", head=self._entry(head), threshold=threshold, mantissa=mantissa, shift=shift)
        )

    def _queue_job(self, head: int) -> None:
        traffic = self.traffic
        low, high = self.description.ports["i_job"].field("causal_offset").limits
        self.sources["i_job"].push(
            self._pack(
                "i_job",
                head=self._entry(head),
                n_queries=traffic.queries,
                causal_offset=min(max(traffic.causal_offset, low), high),  # beyond: every key or none, as here
                release=int((head + 1) % traffic.group == 0),
            )
        )
        self.sources["i_q"].push(self.description.ports["i_q"].pack(traffic.q8[head]))

    def _entry(self, head: int) -> int:
        return head % self.description.config.heads

    # --- no run without an end ------------------------------------------------------------------------------------

    def _watchdog(self) -> None:
        transfers = [len(source.accepted) for source in self.sources.values()]
        monitors = (*self.sinks.values(), *self.taps.values())
        moved = sum(transfers) + sum(len(monitor.payloads) for monitor in monitors)
        if moved != self._moved:
            self._moved, self._moved_at = moved, self.cycle
        elif self.cycle - self._moved_at > self.options.patience + 2 * self.description.config.max_keys:
            raise HangError(f"nothing has moved for {self.cycle - self._moved_at} cycles; {self._situation()}")
        if self.options.cycle_limit is not None and self.cycle > self.options.cycle_limit:
            raise HangError(f"the limit of {self.options.cycle_limit} cycles is passed; {self._situation()}")

    def _situation(self) -> str:
        waiting = [
            f"{source.name} has {source.waiting} payloads left ({'not accepted' if source.valid else 'not offered'})"
            for source in self.sources.values()
            if source.waiting
        ]
        rows = f"o_out has delivered {self.rows_done} of {self._rows} rows"
        return f"cycle {self.cycle}: {'; '.join([rows, *waiting])}"

    # --- results --------------------------------------------------------------------------------------------------

    def recording(self) -> Recording:
        """Everything recorded so far."""
        ports = self.description.ports
        recording = Recording(self.cycle, to_raw(self.counters, ports["o_counters"].bytes))
        for name, monitor in (self.sinks | self.taps).items():
            raw = to_raw(monitor.payloads, ports[name].bytes)
            recording.beats[name] = Beats(raw, np.array(monitor.cycles, np.int64))
        for name, source in self.sources.items():
            recording.accepted[name] = np.array(source.accepted, np.int64)
        return recording
