"""What describes a whole accelerator: a head core's parameters, how many cores, and the shape of its ports."""

from enum import StrEnum
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from latte_hw.config import Core, LatteConfig

STREAM_BITS = (32, 64, 128, 256, 512)
MAX_CORES = 8
LEAST_TABLE_ENTRIES = 64
GREATEST_TABLE_ENTRIES = 128


class Reset(StrEnum):
    """The reset port; both are synchronous."""

    RST = "rst"  # active high
    ARESETN = "aresetn"  # active low, as AXI names it


class Packets(StrEnum):
    """What a packet of a stream holds. Rows lie head-major either way."""

    HEAD = "head"  # the rows of one head
    LAYER = "layer"  # those of all heads of a layer, for DMA engines that move a layer in one transfer


class TopConfig(LatteConfig):
    """Every elaboration-time parameter of a multi-head AXI core. Immutable and checked, as :class:`LatteConfig`."""

    core: ClassVar[Core] = Core.TOP
    later: ClassVar[dict[str, Any]] = {**LatteConfig.later, "packets": Packets.HEAD}

    cores: int = Field(1, description="Head cores that work in parallel (C), 1 to 8.")
    stream_bits: int = Field(64, description="Data width of the AXI4-Stream ports: 32, 64, 128, 256 or 512.")
    reset: Reset = Field(Reset.RST, description="The reset port: rst (active high) or aresetn (active low).")
    packets: Packets = Field(Packets.HEAD, description="What a packet holds: the rows of a head, or of a whole layer.")

    @model_validator(mode="after")
    def _check_top(self) -> Self:
        self._check_range("cores", 1, MAX_CORES)
        if self.stream_bits not in STREAM_BITS:
            widths = ", ".join(map(str, STREAM_BITS[:-1]))
            raise ValueError(f"stream_bits must be {widths} or {STREAM_BITS[-1]}, not {self.stream_bits}")
        self._check_range("heads", 1, GREATEST_TABLE_ENTRIES)
        return self

    @property
    def table_entries(self) -> int:
        """Entries of one bank of the per-head table (E): the next power of two from `heads`, at least 64.

        A power of two, so that the bank is one bit of an entry's number.
        """
        return max(LEAST_TABLE_ENTRIES, 1 << (self.heads - 1).bit_length())

    @property
    def packet_heads(self) -> int:
        """Heads whose rows a packet holds, at most."""
        return self.table_entries if self.packets is Packets.LAYER else 1

    @property
    def head_config(self) -> LatteConfig:
        """One head core: its table has two banks, entry `bank · table_entries + head`."""
        fields = {name: getattr(self, name) for name in LatteConfig.model_fields}
        return LatteConfig(**{**fields, "heads": 2 * self.table_entries})

    @property
    def stream_bytes(self) -> int:
        """Byte lanes of an AXI4-Stream port."""
        return self.stream_bits // 8
