"""Dispatches the queries of a job to B lanes that share one scan of K, and collects their output rows in order."""

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

    The first query of a scan says how many others belong to it. When a job releases its K/V buffer, every lane gets
    `release` exactly once: with its row of the last scan, or by itself where it has no row there.

    Members
    -------
    i_estimator, i_threshold, i_reuse, i_scale, i_row, i_rest
        From :class:`latte_hw.core.sequencer.Sequencer`.
    o_estimator, o_threshold, o_reuse, o_scale, o_row
        The same per lane: `o_estimator_0` and on.

    No latency: a query passes when every queue of its lane has space. Throughput: one query per cycle.
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
        own_lane = Signal(range(lanes))  # of the pending query
        lanes_left = lanes - own_lane  # lanes from there on
        in_last_scan = self.i_rest.queries <= lanes_left

        # A query needs its own lane's queues. Lanes behind a job's last query, and all lanes of a job without
        # queries, get the release by a row of their own.
        here = [equals(own_lane, lane) for lane in range(lanes)]
        before = [Const(0, 1), *(own_lane < lane for lane in range(1, lanes))]
        release_alone = [row.empty | (row.last & self.i_rest.release & before[lane]) for lane in range(lanes)]
        ready = Signal()
        may_pass = Value.cast(1)
        for lane in range(lanes):
            queues = Value.cast(1)
            for role in ROLES:
                queues = queues & self.lane(role, lane).ready
            row_ready = self.lane("row", lane).ready
            may_pass = may_pass & (~here[lane] | row.empty | queues) & (~release_alone[lane] | row_ready)
        m.d.comb += ready.eq(may_pass)

        for role in ROLES:
            source = getattr(self, f"i_{role}")
            m.d.comb += source.ready.eq(ready)
            for lane in range(lanes):
                target = self.lane(role, lane)
                m.d.comb += [target.valid.eq(source.valid & here[lane]), target.payload.eq(source.payload)]
        others = Mux(in_last_scan, self.i_rest.queries - 1, lanes - 1)  # of a scan's first query, in lane 0
        m.d.comb += self.lane("estimator", 0).payload.scan.others.eq(others)
        for lane in range(lanes):
            target = self.lane("row", lane)
            own = here[lane] & ~row.empty
            m.d.comb += [
                target.valid.eq(self.i_row.valid & (own | release_alone[lane])),
                target.payload.empty.eq(~own),
                target.payload.release.eq(self.i_rest.release & (~own | in_last_scan)),
            ]
        with m.If(self.i_row.valid & ready & ~row.empty):
            m.d.sync += own_lane.eq(Mux(row.last | (own_lane == lanes - 1), 0, own_lane + 1))
        return m


class InOrderCollector(wiring.Component):
    """Output rows of B lanes in the order in which the dispatcher sent their queries; lane 0 follows a job's last row.

    Members
    -------
    i_out
        Rows of each lane: `i_out_0` and on.
    o_out
        All rows.
    i_free
        A bit for each lane: high for one cycle when it has read the values of a released K/V buffer.
    o_free
        High for one cycle when every lane has.

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
