"""What a driver needs of the outside: a register bus, four streams, and time."""

from typing import Protocol, runtime_checkable


class Transport(Protocol):
    """Registers and streams of one core. No method but :meth:`wait` waits for the core's streams.

    Streams are named `q`, `k`, `v` (into the core) and `o`. All of them must move independently.
    """

    def read32(self, address: int) -> int:
        """Read a register; :class:`latte_hw.driver.errors.BusError` when the bus answers with an error."""

    def write32(self, address: int, word: int) -> None:
        """Write a register; :class:`latte_hw.driver.errors.BusError` when the bus answers with an error."""

    def send(self, stream: str, packet: bytes) -> None:
        """Queue a packet behind those that wait on this stream; `tlast` comes with its last byte."""

    def receive(self, size: int) -> bytes | None:
        """The next whole packet of the output, which should have `size` bytes; None if it is not there yet.

        After None it is asked again with the same `size` until it comes or :meth:`discard` is called.
        """

    def unsent(self) -> dict[str, int]:
        """Packets of each input stream that the core has not taken whole."""

    def wait(self) -> None:
        """Let a short time pass, some microseconds to milliseconds, and move on what the transport itself moves."""

    def time(self) -> float:
        """Seconds, from any beginning; simulated seconds in a simulation."""

    def discard(self) -> None:
        """Drop all packets that wait or are in flight, and begin with new packets on every stream."""


@runtime_checkable
class InterruptTransport(Transport, Protocol):
    """A transport that may wait for the core's `irq` instead of looking at the core over and over."""

    def expect(self, packets: int) -> bool:
        """A command is about to be given that makes so many output packets; whether :meth:`wait` ends with `irq`.

        If so, the driver enables the causes of `irq`, and after each wait clears what has come.
        """
