"""One LATTE head core: K and V stay on chip, queries stream through."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.config import LatteConfig
from latte_hw.core.dispatcher import ROLES, Dispatcher, InOrderCollector
from latte_hw.core.estimator import MS4BEstimator
from latte_hw.core.kv_store import KvStore
from latte_hw.core.payloads import Payloads, slots
from latte_hw.core.reuse_datapath import ReuseDatapath
from latte_hw.core.sequencer import Sequencer
from latte_hw.core.softmax import Softmax
from latte_hw.core.threshold_filter import HeadThresholdFilter
from latte_hw.core.weighted_sum import WeightedSum
from latte_hw.lib.names import numbered
from latte_hw.lib.register_slices import SkidBuffer, slices, slices_before
from latte_hw.lib.streams import Fifo, StreamRegister, Valid, delayed
from latte_hw.params import HeadParams


class LatteHead(wiring.Component):
    """Threshold-pruned attention of one head at a time.

    Block diagram::

        i_k, i_v ──> store ──beat_port──┐     ┌──key_port──┐          ┌──value_port──┐
                                        v     v            v          v              │
        i_q ──────> sequencer ──> estimator ─> filter ─> reuse ─> softmax ─> weighted_sum ──> o_out

    Successive queries overlap: while one is estimated, the one before has its kept scores completed and the one before
    that is summed up. Loading the next head's K and V overlaps too.

    With B = `queries_per_scan` above 1, B queries share one scan of K, each with a lane of its own for all that comes
    behind the estimator: filter, reuse, softmax, weighted sum. K's high parts are read once for all of them; whole
    rows of K and V lie in one RAM per lane.

    With R = `kept_per_cycle` = 2, the kept keys of a query leave the filter two by two and stay so up to the
    sums; the store has two ports for whole rows of K and of V. It excludes B above 1.

    Parameters
    ----------
    config
        Every elaboration-time parameter.
    taps
        Bring the stages to ports for verification: `tap_estimate`, `tap_kept`, `tap_score`, `tap_prob` are valid in
        the cycle in which an item passes. The core behaves the same with and without. With several lanes every lane
        has its own, `tap_estimate_0` and on.
    managed
        For :class:`latte_hw.system.multihead.MultiHead`: K and V of a buffer may grow by a row, see
        :class:`~latte_hw.core.kv_store.KvStore`, `o_loading` is the store's, and `o_fed` is high while the core does
        not wait for input: a query lies before the filter, or is pending together with its job and its K and V.

    Members
    -------
    i_table, i_load, i_k, i_v, i_job, i_q, o_out
        See :class:`latte_hw.core.payloads.Payloads` for the payloads, :class:`~latte_hw.core.kv_store.KvStore` and
        :class:`~latte_hw.core.sequencer.Sequencer` for the order in which they are taken.
    o_counters
        Running totals.
    tap_estimate, tap_kept, tap_score, tap_prob
        With `taps`.
    o_loading, o_fed
        If `managed`.

    Throughput: `params.bounds.cycles_per_query`; latency of a single query: at most `params.bounds.query_latency`.
    """

    def __init__(self, config: LatteConfig, *, taps: bool = False, managed: bool = False) -> None:
        self.config = config
        self.params = HeadParams(config)
        self.taps = taps
        self.managed = managed
        payloads = Payloads(self.params)
        members: dict[str, Any] = {
            "i_table": In(stream.Signature(payloads.table_entry)),
            "i_load": In(stream.Signature(payloads.append_load if managed else payloads.load)),
            "i_k": In(stream.Signature(payloads.element_row)),
            "i_v": In(stream.Signature(payloads.element_row)),
            "i_job": In(stream.Signature(payloads.job)),
            "i_q": In(stream.Signature(payloads.element_row)),
            "o_out": Out(stream.Signature(payloads.out_row)),
            "o_counters": Out(payloads.counters),
        }
        if managed:
            members |= {"o_loading": Out(1), "o_fed": Out(1)}
        if taps:
            members |= {
                name: Out(Valid(shape))
                for tap, shape in (
                    ("tap_estimate", payloads.estimate_beat),
                    ("tap_kept", payloads.kept_key),
                    ("tap_score", payloads.scored_key),
                    ("tap_prob", payloads.weighted_key),
                )
                for name in numbered(tap, config.queries_per_scan)
            }
        super().__init__(members)

    @property
    def readers(self) -> int:
        """Whole rows of K, and of V, that are read per cycle."""
        return self.config.queries_per_scan * self.config.kept_per_cycle

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params, payloads = self.params, Payloads(self.params)
        lanes = self.config.queries_per_scan
        m.submodules.store = store = KvStore(params, readers=self.readers, appends=self.managed)
        if self.managed:
            m.d.comb += self.o_loading.eq(store.o_loading)
        m.submodules.sequencer = sequencer = Sequencer(params)
        m.submodules.estimator = estimator = MS4BEstimator(params)

        for name in ("i_load", "i_k", "i_v"):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(store, name))
        for name, port in (("i_table", self.i_table), ("i_job", self.i_job), ("i_query", self.i_q)):
            wiring.connect(m, wiring.flipped(port), getattr(sequencer, name))
        wiring.connect(m, store.o_loaded, sequencer.i_loaded)
        wiring.connect(m, estimator.beat_port, store.beat_port)

        if lanes == 1:
            sources = [{role: getattr(sequencer, f"o_{role}") for role in ROLES}]
        else:
            m.submodules.dispatcher = dispatcher = Dispatcher(params)
            for role in ROLES:
                wiring.connect(m, getattr(sequencer, f"o_{role}"), getattr(dispatcher, f"i_{role}"))
            m.d.comb += dispatcher.i_rest.eq(sequencer.o_rest)
            sources = [{role: dispatcher.lane(role, lane) for role in ROLES} for lane in range(lanes)]
        blocks = [self._lane(m, lane, sources[lane], store, estimator) for lane in range(lanes)]

        if self.managed:
            self._report_fed(m, sequencer, estimator)

        sums = [weighted_sum for *_, weighted_sum in blocks]
        output = slices_before(m, wiring.flipped(self.o_out), params.pipeline.output, "output")
        if lanes == 1:
            wiring.connect(m, sums[0].o_out, output)
            m.d.comb += store.i_free.eq(sums[0].o_free)
        else:
            m.submodules.collector = collector = InOrderCollector(params)
            for name, weighted_sum in zip(numbered("i_out", lanes), sums, strict=True):
                wiring.connect(m, weighted_sum.o_out, getattr(collector, name))
            wiring.connect(m, collector.o_out, output)
            m.d.comb += [collector.i_free.eq(Cat(one.o_free for one in sums)), store.i_free.eq(collector.o_free)]

        counters = Signal(payloads.counters)
        filters = [threshold_filter for threshold_filter, *_ in blocks]
        m.d.comb += self.o_counters.eq(counters)
        events = {
            "keys_seen": [one.o_seen for one in filters],
            "survivors": [one.o_survivors for one in filters],
            "kept": [
                _passes(one.o_kept) & kept
                for one in filters
                for kept in slots(one.o_kept.payload.kept, self.config.kept_per_cycle)
            ],
        }
        event_slices = params.pipeline.counter_events
        events = {
            name: [delayed(m, part, event_slices, f"{name}_part_{number}") for number, part in enumerate(parts)]
            for name, parts in events.items()
        }
        totals = {name: sum(parts, start=Const(0, 1)) for name, parts in events.items()}
        for name, event in {"queries": _passes(self.o_out), **totals}.items():
            m.d.sync += counters[name].eq(counters[name] + delayed(m, event, 1, f"{name}_event"))
        return m

    def _report_fed(self, m: Module, sequencer: Sequencer, estimator: MS4BEstimator) -> None:
        lanes = self.config.queries_per_scan
        before_filter = Signal(range(2 * lanes * self.params.depths.rows))  # no lane's queue of rows holds as many
        left = [
            _passes(beats) & beats.payload.last
            for beats in (getattr(estimator, name) for name in numbered("o_beat", lanes))
        ]
        m.d.sync += before_filter.eq(before_filter + _passes(sequencer.i_query) - sum(left))
        # Offered and not taken: the core itself stalls the query, because stages behind the filter take longer.
        offered = sequencer.i_job.valid & sequencer.i_loaded.valid & sequencer.i_query.valid
        m.d.comb += self.o_fed.eq(before_filter.any() | offered)

    def _lane(
        self, m: Module, lane: int, sources: dict[str, Any], store: KvStore, estimator: MS4BEstimator
    ) -> tuple[HeadThresholdFilter, ReuseDatapath, Softmax, WeightedSum]:
        """What a query of a scan has to itself: everything behind the estimator."""
        params = self.params

        def own(name: str) -> str:
            return numbered(name, self.config.queries_per_scan)[lane]

        m.submodules[own("filter")] = threshold_filter = HeadThresholdFilter(params)
        m.submodules[own("reuse")] = reuse = ReuseDatapath(params)
        m.submodules[own("softmax")] = softmax = Softmax(params)
        m.submodules[own("weighted_sum")] = weighted_sum = WeightedSum(params)
        kept_per_cycle = self.config.kept_per_cycle
        for block, name in ((reuse, "key_port"), (weighted_sum, "value_port")):
            of_store = numbered(name, self.readers)[lane * kept_per_cycle :][:kept_per_cycle]
            for own_port, store_port in zip(numbered(name, kept_per_cycle), of_store, strict=True):
                wiring.connect(m, getattr(block, own_port), getattr(store, store_port))

        # What a block needs of a query waits beside the data path until its row gets there.
        hops = params.pipeline
        for name, role, sink, depth, sent, read in (
            (
                "estimator_queries",
                "estimator",
                getattr(estimator, own("i_query")),
                params.depths.estimator_queries,
                hops.query_send,
                0,
            ),
            (
                "thresholds",
                "threshold",
                threshold_filter.i_threshold,
                params.depths.rows,
                hops.row_params,
                hops.row_read,
            ),
            ("reuse_queries", "reuse", reuse.i_query, params.depths.queries, hops.row_params, 0),
            ("scales", "scale", softmax.i_scale, params.depths.rows, hops.row_params, hops.row_read),
            ("rows", "row", weighted_sum.i_row, params.depths.rows, hops.row_params, hops.row_read),
        ):
            source = slices(m, sources[role], sent, own(f"{name}_write_slice"))
            shape = source.payload.shape()
            queue: Any = Fifo(shape, depth) if depth > 1 else StreamRegister(shape)
            m.submodules[own(name)] = queue
            wiring.connect(m, source, queue.i)
            late = hops.threshold_read if role == "threshold" else 0
            source = slices(m, queue.o, late, own(f"{name}_read_slice"))
            wiring.connect(m, slices(m, source, read, own(f"{name}_read"), SkidBuffer), sink)

        beats = slices(m, getattr(estimator, own("o_beat")), hops.beat_send, own("beats_read"), SkidBuffer)
        wiring.connect(m, beats, threshold_filter.i_beat)
        wiring.connect(m, threshold_filter.o_kept, reuse.i_kept)
        wiring.connect(m, reuse.o_scored, softmax.i_scored)
        wiring.connect(m, softmax.o_weighted, weighted_sum.i_weighted)
        if self.taps:
            for tap, port in (
                ("tap_estimate", beats),
                ("tap_kept", threshold_filter.o_kept),
                ("tap_score", reuse.o_scored),
                ("tap_prob", softmax.o_weighted),
            ):
                seen = getattr(self, own(tap))
                m.d.comb += [seen.valid.eq(_passes(port)), seen.payload.eq(port.payload)]
        return threshold_filter, reuse, softmax, weighted_sum


def _passes(port: Any) -> Any:
    return port.valid & port.ready
