"""Deals the queries of a job to B lanes that share one scan of K, and puts their output rows in order again."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.core.payloads import Payloads
from latte_hw.lib.names import numbered
from latte_hw.lib.streams import equals
from latte_hw.params import HeadParams

ROLES = ("estimator", "threshold", "reuse", "scale", "row")
"""What the sequencer says of each query, by the block that needs it."""


def role_shapes(params: HeadParams) -> dict[str, Any]:
    """Payload of each role."""
    payloads = Payloads(params)
    shapes = (payloads.estimator_query, payloads.threshold, payloads.reuse_query, payloads.softmax_scale)
    return dict(zip(ROLES, (*shapes, payloads.row_end), strict=True))


class Dispatcher(wiring.Component):
    """Query i of a job goes to lane i mod B; the last scan of a job may have fewer than B queries.

    The first query of a scan learns how many others belong to it. When a job gives its K/V buffer back, every lane is
    told so exactly once: with its row of the last scan, or without a row where it has none there.

    Members
    -------
    i_estimator, i_threshold, i_reuse, i_scale, i_row, i_rest
        From :class:`latte_hw.core.sequencer.Sequencer`.
    o_estimator_0, …
        The same per lane.

    No latency: a query passes when every queue of its lane has room. Throughput: one query per cycle.
    """

    def __init__(self, params: HeadParams) -> None:
        self.params = params
        self.lanes = params.config.queries_per_scan
        shapes = role_shapes(params)
        super().__init__(
            {f"i_{role}": In(stream.Signature(shape)) for role, shape in shapes.items()}
            | {
                name: Out(stream.Signature(shape))
                for role, shape in shapes.items()
                for name in numbered(f"o_{role}", self.lanes)
            }
            | {"i_rest": In(Payloads(params).job_rest)}
        )

    def lane(self, role: str, lane: int) -> Any:
        """The output of a role for a lane."""
        return getattr(self, numbered(f"o_{role}", self.lanes)[lane])

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        lanes, row = self.lanes, self.i_row.payload
        place = Signal(range(lanes))  # lane of the query on offer
        room = lanes - place  # lanes from there on
        in_last_scan = self.i_rest.queries <= room

        # A query needs its own lane's queues. Lanes behind a job's last query, and all lanes of a job without
        # queries, are told of the release by a row of their own.
        here = [equals(place, lane) for lane in range(lanes)]
        before = [Const(0, 1), *(place < lane for lane in range(1, lanes))]
        told_alone = [row.empty | (row.last & self.i_rest.release & before[lane]) for lane in range(lanes)]
        ready = Signal()
        may_pass = Value.cast(1)
        for lane in range(lanes):
            queues = Value.cast(1)
            for role in ROLES:
                queues = queues & self.lane(role, lane).ready
            row_room = self.lane("row", lane).ready
            may_pass = may_pass & (~here[lane] | row.empty | queues) & (~told_alone[lane] | row_room)
        m.d.comb += ready.eq(may_pass)

        for role in ROLES:
            source = getattr(self, f"i_{role}")
            m.d.comb += source.ready.eq(ready)
            for lane in range(lanes):
                target = self.lane(role, lane)
                m.d.comb += [target.valid.eq(source.valid & here[lane]), target.payload.eq(source.payload)]
        others = Mux(in_last_scan, self.i_rest.queries - 1, lanes - 1)  # of a scan's first query, at place 0
        m.d.comb += self.lane("estimator", 0).payload.scan.others.eq(others)
        for lane in range(lanes):
            target = self.lane("row", lane)
            own = here[lane] & ~row.empty
            m.d.comb += [
                target.valid.eq(self.i_row.valid & (own | told_alone[lane])),
                target.payload.empty.eq(~own),
                target.payload.release.eq(self.i_rest.release & (~own | in_last_scan)),
            ]
        with m.If(self.i_row.valid & ready & ~row.empty):
            m.d.sync += place.eq(Mux(row.last | (place == lanes - 1), 0, place + 1))
        return m


class InOrderCollector(wiring.Component):
    """Output rows of B lanes in the order in which the dispatcher dealt their queries; a job's last row ends a turn.

    `o_free` is high for one cycle when every lane has read the values of a released K/V buffer.

    No latency. Throughput: one row per cycle.
    """

    def __init__(self, params: HeadParams) -> None:
        self.params = params
        self.lanes = params.config.queries_per_scan
        out_row = Payloads(params).out_row
        super().__init__(
            {name: In(stream.Signature(out_row)) for name in numbered("i_out", self.lanes)}
            | {"o_out": Out(stream.Signature(out_row)), "i_free": In(self.lanes), "o_free": Out(1)}
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        turn = Signal(range(self.lanes))
        for lane, name in enumerate(numbered("i_out", self.lanes)):
            source = getattr(self, name)
            with m.If(equals(turn, lane)):
                m.d.comb += [
                    self.o_out.valid.eq(source.valid),
                    self.o_out.payload.eq(source.payload),
                    source.ready.eq(self.o_out.ready),
                ]
        with m.If(self.o_out.valid & self.o_out.ready):
            m.d.sync += turn.eq(Mux(self.o_out.payload.last | (turn == self.lanes - 1), 0, turn + 1))

        # Lanes are at most as far apart as there are buffers.
        everyone = Value.cast(1)
        for lane in range(self.lanes):
            done = Signal(range(self.params.config.kv_buffers + 1), name=f"done_{lane}")
            m.d.sync += done.eq(done + self.i_free[lane] - self.o_free)
            everyone = everyone & done.any()
        m.d.comb += self.o_free.eq(everyone)
        return m
