"""AXI4-Stream packets as plain Python data, and blocks with such ports in the benches of
:mod:`sim.blocks.block_bench`."""

from collections.abc import Iterable, Sequence
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring

from latte_hw.lib.axi.stream import AxiStream

Beat = dict[str, int]
"""`data`, `keep` and `last` of one transfer."""


def beat_layout(bits: int) -> data.StructLayout:
    """A beat as one payload."""
    return data.StructLayout({"data": bits, "keep": bits // 8, "last": 1})


def to_beats(packet: bytes, bits: int) -> list[Beat]:
    """A packet as a well-behaved transmitter sends it: lane 0 first, full beats, `last` in the last one."""
    lanes = bits // 8
    pieces = [packet[start : start + lanes] for start in range(0, max(1, len(packet)), lanes)]
    return [
        {"data": int.from_bytes(piece, "little"), "keep": (1 << len(piece)) - 1, "last": int(number == len(pieces) - 1)}
        for number, piece in enumerate(pieces)
    ]


def to_packets(beats: Iterable[Beat], bits: int) -> list[bytes]:
    """The inverse; asserts that every beat but a packet's last one is full and that no kept byte has a gap before it.

    Beats behind the last `last` must not be left over.
    """
    packets, packet = [], b""
    for beat in beats:
        kept = beat["keep"].bit_length()
        assert beat["keep"] == (1 << kept) - 1, f"tkeep has a gap: {beat['keep']:b}"
        assert kept > 0, "a beat without a byte"
        assert beat["last"] or kept == bits // 8, "a beat before the last is not full"
        packet += beat["data"].to_bytes(bits // 8, "little")[:kept]
        assert beat["data"] >> 8 * kept == 0, "lanes that are not kept are not 0"
        if beat["last"]:
            packets.append(packet)
            packet = b""
    assert packet == b"", f"{len(packet)} bytes follow the last packet"
    return packets


class AsStreams(wiring.Component):
    """A component whose AXI4-Stream ports look like streams of beats; every other member stays as it is."""

    def __init__(self, inner: wiring.Component) -> None:
        self.inner = inner
        self.axi: dict[str, wiring.Member] = {}
        members: dict[str, wiring.Member] = {}
        for name, member in inner.signature.members.items():
            if member.is_signature and isinstance(member.signature, AxiStream):
                bits = len(getattr(inner, name).tdata)
                self.axi[name] = member
                member = wiring.Member(member.flow, stream.Signature(beat_layout(bits)))
            members[name] = member
        super().__init__(members)

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        m.submodules.inner = self.inner
        for name, member in self.signature.members.items():
            outer, inner = getattr(self, name), getattr(self.inner, name)
            if name in self.axi:
                source, sink = (outer, inner) if member.flow is wiring.In else (inner, outer)
                m.d.comb += self._connect(source, sink, member.flow is wiring.In)
            elif member.is_port:
                m.d.comb += inner.eq(outer) if member.flow is wiring.In else outer.eq(inner)
            else:
                wiring.connect(m, wiring.flipped(outer), inner)
        return m

    @staticmethod
    def _connect(source: Any, sink: Any, into_axi: bool) -> Sequence[Any]:
        if into_axi:
            return [
                sink.tvalid.eq(source.valid),
                source.ready.eq(sink.tready),
                sink.tdata.eq(source.payload.data),
                sink.tkeep.eq(source.payload.keep),
                sink.tlast.eq(source.payload.last),
            ]
        return [
            sink.valid.eq(source.tvalid),
            source.tready.eq(sink.ready),
            sink.payload.data.eq(source.tdata),
            sink.payload.keep.eq(source.tkeep),
            sink.payload.last.eq(source.tlast),
        ]
