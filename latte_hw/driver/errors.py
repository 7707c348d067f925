"""What a driver raises. All are :class:`LatteError`, whose message is one sentence."""

from collections.abc import Iterable, Mapping

from latte_hw.config.errors import LatteError
from latte_hw.system.events import BUSY_WRITE, COMMAND_ERRORS, ERRORS


class BusError(LatteError):
    """The register bus answered with an error, or not at all."""


class DmaLengthError(BusError):
    """A DMA engine's length register is narrower than a packet is long."""


class UnknownCoreError(LatteError):
    """What answers is no LATTE core, or one of another version or configuration."""


class StallError(LatteError):
    """Nothing has moved for as long as the driver waits; the message says who waits for whom."""


class CoreError(LatteError):
    """The core has set sticky bits of its register `errors`, which the driver has cleared. `bits` names all of them;
    `texts` says what each means."""

    def __init__(self, bits: Iterable[str], texts: Mapping[str, str] = ERRORS) -> None:
        self.bits = tuple(bits)
        super().__init__("; ".join(f"{bit}: {texts[bit].removesuffix('.')}" for bit in self.bits))


class PacketError(CoreError):
    """An input packet was malformed; the result of its layer was dropped."""


class ShortPacketError(PacketError):
    """A packet ended too early."""


class LongPacketError(PacketError):
    """A packet went on where it had to end."""


class HoleError(PacketError):
    """`tkeep` was not contiguous, or not full before the packet's last byte."""


class RangeError(CoreError):
    """q or k held an element above the greatest that the split can hold, which the core took in its place."""


class LengthError(CoreError):
    """The core refused a command because of its lengths."""


class BusyError(CoreError):
    """The core refused a command or configuration because it was busy."""


_TYPES: dict[str, type[CoreError]] = {
    "short": ShortPacketError,
    "long": LongPacketError,
    "hole": HoleError,
    "range": RangeError,
}
"""Of a stream's errors, by their kind."""


def core_error(bits: Iterable[str], texts: Mapping[str, str] = ERRORS) -> CoreError:
    """The error of these sticky bits, of the type of the first one."""
    names = tuple(bits)
    if names[0] not in COMMAND_ERRORS:
        return _TYPES[names[0].split("_")[1]](names, texts)
    return (BusyError if names[0] == BUSY_WRITE else LengthError)(names, texts)
