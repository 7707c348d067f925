"""The core's pins as a harness needs them, on any simulator: reads made ready beforehand, writes only of changes."""

from collections.abc import Callable

from sim.head.harness import HeadHarness
from sim.lib.streams import StreamSink, StreamSource

Read = Callable[[], int]
"""The signal's value now, as an unsigned integer."""

Write = Callable[[int], object]


class SourcePins:
    """Pins of one input stream, and what `valid` was last driven to."""

    def __init__(self, source: StreamSource, ready: Read, valid: Write, payload: Write) -> None:
        self.source = source
        self.ready = ready
        self._write_valid = valid
        self._write_payload = payload
        self._driven = False
        valid(0)
        payload(0)

    def drive(self) -> None:
        source = self.source
        if source.step():
            self._write_payload(source.payload)
        if source.valid != self._driven:
            self._driven = source.valid
            self._write_valid(int(source.valid))


class SinkPins:
    """Pins of one output stream."""

    def __init__(self, sink: StreamSink, valid: Read, payload: Read, ready: Write) -> None:
        self.sink = sink
        self.valid = valid
        self.payload = payload
        self._write_ready = ready
        ready(0)

    def drive(self) -> None:
        sink = self.sink
        before = sink.ready
        sink.step()
        if sink.ready != before:
            self._write_ready(int(sink.ready))


class Pins:
    """All pins; ``read`` and ``write`` make the access to the signal of that name (`i_q_valid`)."""

    def __init__(self, harness: HeadHarness, read: Callable[[str], Read], write: Callable[[str], Write]) -> None:
        self.harness = harness
        self.sources = [
            SourcePins(source, read(f"{name}_ready"), write(f"{name}_valid"), write(f"{name}_payload"))
            for name, source in harness.sources.items()
        ]
        self.sinks = [
            SinkPins(sink, read(f"{name}_valid"), read(f"{name}_payload"), write(f"{name}_ready"))
            for name, sink in harness.sinks.items()
        ]
        self.taps = [(tap, read(f"{name}_valid"), read(f"{name}_payload")) for name, tap in harness.taps.items()]
        self.counters = read("o_counters")

    def sample(self) -> None:
        """Note what is transferred at the coming clock edge, and let the harness go on to the next cycle."""
        now = self.harness.cycle
        for source_pins in self.sources:
            if source_pins.source.valid and source_pins.ready():
                source_pins.source.accept(now)
        for sink_pins in self.sinks:
            if sink_pins.sink.ready and sink_pins.valid():
                sink_pins.sink.take(now, sink_pins.payload())
        for tap, valid, payload in self.taps:
            if valid():
                tap.take(now, payload())
        self.harness.step(self.counters)

    def drive(self) -> None:
        """Drive the next cycle's inputs: after the edge."""
        for source_pins in self.sources:
            source_pins.drive()
        for sink_pins in self.sinks:
            sink_pins.drive()
