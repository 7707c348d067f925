"""Turns jobs and queries into rows: which keys a query sees, with which threshold and softmax scale."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.core.payloads import Payloads
from latte_hw.lib.arith import high_part, low_part, saturate_element
from latte_hw.lib.streams import NEVER_COLLIDES, delayed, fork_ready
from latte_hw.params import CoreParams


class Sequencer(wiring.Component):
    """Takes the queries of one job after the other and hands every block its share of each.

    The per-head table holds threshold and softmax scale. An entry is read once, when a job starts: it must be written
    before the job is offered, and may be rewritten as soon as the job's first query has been taken.

    Query i of a job sees the first `min(n_keys, max(0, i + 1 + causal_offset))` keys if the core is causal, all
    `n_keys` otherwise. Its elements above `quant_max` are saturated.

    Members
    -------
    i_table
        Writes one entry; always ready.
    i_job, i_query
        A job, then its `n_queries` queries.
    i_loaded
        The loaded K/V buffers; the oldest is kept until a job with `release` has sent its last query.
    o_estimator, o_threshold, o_reuse, o_scale, o_row
        What the blocks need of each query; all of them take it in the same cycle.
    o_rest
        What is left of the job, the query pending included.

    Throughput: one query per cycle, or every other one with `pipeline.row_issue`; one cycle more per job, two if
    it releases its buffer; two cycles for a job without queries, or three. With `row_issue`, an output's `ready`,
    once high, must stay so until a query is taken.
    """

    def __init__(self, params: CoreParams) -> None:
        self.params = params
        payloads = Payloads(params)
        super().__init__(
            {
                "i_table": In(stream.Signature(payloads.table_entry)),
                "i_job": In(stream.Signature(payloads.job)),
                "i_query": In(stream.Signature(payloads.element_row)),
                "i_loaded": In(stream.Signature(payloads.loaded)),
                "o_estimator": Out(stream.Signature(payloads.estimator_query)),
                "o_threshold": Out(stream.Signature(payloads.threshold)),
                "o_reuse": Out(stream.Signature(payloads.reuse_query)),
                "o_scale": Out(stream.Signature(payloads.softmax_scale)),
                "o_row": Out(stream.Signature(payloads.row_end)),
                "o_rest": Out(payloads.job_rest),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params, job = self.params, self.i_job.payload
        queries = _Queries(params)
        offered = Signal()
        row = _RowOffer(self.o_row)
        outputs = [self.o_estimator, self.o_threshold, self.o_reuse, self.o_scale, row]
        taken = fork_ready(m, offered, outputs, late=params.pipeline.row_issue > 0)

        # The buffer is released a cycle later: a long route to the store, and there is time between two jobs.
        job_ends = Signal()
        releases = Signal()
        m.d.comb += [self.i_job.ready.eq(job_ends), self.i_loaded.ready.eq(releases)]
        m.d.sync += releases.eq(job_ends & job.release)

        counts_late = params.pipeline.row_count
        if counts_late:  # before the next query may be taken; a job that starts comes first
            with m.If(delayed(m, taken, counts_late, "counted")):
                m.d.sync += queries.go_on()
        with m.FSM(name="state") as state:
            starts = state.ongoing("idle") & self.i_job.valid & self.i_loaded.valid & ~releases
            with m.State("idle"), m.If(starts):
                m.d.sync += queries.begin(job)
                m.next = "queries"
            with m.State("queries"):
                with m.If(queries.is_empty):
                    # No row to carry the release: it travels alone, behind the rows of earlier jobs.
                    m.d.comb += row.alone.eq(1)
                    with m.If(self.o_row.ready):
                        m.d.comb += job_ends.eq(1)
                        m.next = "idle"
                with m.Else():
                    m.d.comb += [offered.eq(self.i_query.valid), self.i_query.ready.eq(taken)]
                    with m.If(taken):
                        if not counts_late:
                            m.d.sync += queries.go_on()
                        with m.If(queries.is_last):
                            m.d.comb += job_ends.eq(1)
                            m.next = "idle"
        with m.If(starts):  # not in its state: lint dislikes a register that one of several states sets
            m.d.sync += queries.is_empty.eq(~job.n_queries.any())

        self._outputs(m, queries, row, self._entry(m, starts))
        return m

    def _entry(self, m: Module, reads: Value) -> Any:
        """The table, and the entry of the present job."""
        m.submodules.entries = entries = memory.Memory(
            shape=Payloads(self.params).table_entry, depth=max(2, self.params.config.heads), init=[],
            attrs=NEVER_COLLIDES,
        )  # fmt: skip
        write_port = entries.write_port()
        read_port = entries.read_port()
        m.d.comb += [
            self.i_table.ready.eq(1),
            write_port.addr.eq(self.i_table.payload.head),
            write_port.data.eq(self.i_table.payload),
            write_port.en.eq(self.i_table.valid),
            read_port.addr.eq(self.i_job.payload.head),
            read_port.en.eq(reads),
        ]
        return read_port.data

    def _split(self, m: Module) -> Any:
        """The query in its two parts, elements saturated."""
        split = Signal(Payloads(self.params).split_row)
        for d in range(self.params.config.head_dim):
            element = Signal(signed(8), name=f"element_{d}")
            m.d.comb += [
                element.eq(saturate_element(self.params, self.i_query.payload[d])),
                split.high[d].eq(high_part(self.params, element)),
            ]
            if self.params.widths.low_bits:
                m.d.comb += split.low[d].eq(low_part(self.params, element))
        return split

    def _outputs(self, m: Module, queries: "_Queries", row: "_RowOffer", entry: Any) -> None:
        """What every block needs of the present query."""
        job, loaded, split = self.i_job.payload, self.i_loaded.payload, self._split(m)
        scan = self.o_estimator.payload.scan
        m.d.comb += [
            self.o_rest.queries.eq(queries.left),
            self.o_rest.release.eq(job.release),
            self.o_estimator.payload.high.eq(split.high),
            scan.buffer.eq(loaded.buffer),
            scan.keys.count.eq(queries.valid_keys(m, loaded.n_keys)),
            Value.cast(self.o_threshold.payload).eq(entry.threshold),
            self.o_reuse.payload.row.eq(split),
            self.o_reuse.payload.buffer.eq(loaded.buffer),
            self.o_scale.payload.mantissa.eq(entry.mantissa),
            self.o_scale.payload.shift.eq(entry.shift),
            self.o_row.valid.eq(row.valid | row.alone),
            self.o_row.payload.buffer.eq(loaded.buffer),
            self.o_row.payload.empty.eq(row.alone),
            self.o_row.payload.last.eq(queries.is_last),
            self.o_row.payload.release.eq(job.release & (row.alone | queries.is_last)),
        ]


class _Queries:
    """Where the present job stands: how many queries are left, and how many keys the present one sees."""

    def __init__(self, params: CoreParams) -> None:
        self.causal = params.config.causal
        self.count_bits = params.widths.count_bits
        self.left = Signal(self.count_bits, name="queries_left")
        self.visible_keys = Signal(
            signed(self.count_bits + 3), name="visible_keys"
        )  # the causal limit, not yet clipped
        # `left` is 1, and a job without queries: known ahead, since what follows from them goes far.
        self.is_last = Signal(name="is_last")
        self.is_empty = Signal(name="is_empty")

    def begin(self, job: Any) -> list[Any]:
        return [
            self.left.eq(job.n_queries),
            self.is_last.eq(job.n_queries == 1),
            self.visible_keys.eq(job.causal_offset + 1),
        ]

    def go_on(self) -> list[Any]:
        return [
            self.left.eq(self.left - 1),
            self.is_last.eq(self.left == 2),
            self.visible_keys.eq(self.visible_keys + 1),
        ]

    def valid_keys(self, m: Module, n_keys: Value) -> Value:
        """Of `n_keys` loaded ones, those that the present query sees: the first so many."""
        count = Signal(self.count_bits, name="valid_keys")
        m.d.comb += count.eq(n_keys)
        if self.causal:
            with m.If(self.visible_keys < n_keys):
                m.d.comb += count.eq(Mux(self.visible_keys < 0, 0, self.visible_keys))
        return count


class _RowOffer:
    """`o_row` as one of the forked outputs; an empty job raises `alone` to use it by itself."""

    def __init__(self, row: Any) -> None:
        self.ready = row.ready
        self.valid = Signal(name="row_offered")
        self.alone = Signal(name="row_alone")
