"""Host driver of the multi-head core; the same code drives simulation and hardware. Needs NumPy, not Amaranth."""

from latte_hw.driver.core import Latte
from latte_hw.driver.errors import (
    BusError,
    BusyError,
    CoreError,
    DmaLengthError,
    HoleError,
    LengthError,
    LongPacketError,
    PacketError,
    RangeError,
    ShortPacketError,
    StallError,
    UnknownCoreError,
)
from latte_hw.driver.transport import InterruptTransport, Transport

__all__ = [
    "BusError",
    "BusyError",
    "CoreError",
    "DmaLengthError",
    "HoleError",
    "InterruptTransport",
    "Latte",
    "LengthError",
    "LongPacketError",
    "PacketError",
    "RangeError",
    "ShortPacketError",
    "StallError",
    "Transport",
    "UnknownCoreError",
]
