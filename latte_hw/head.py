"""One LATTE head core: K and V stay on chip, queries stream through."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.config import LatteConfig
from latte_hw.estimator import MS4BEstimator
from latte_hw.kv_store import KvStore
from latte_hw.params import HeadParams
from latte_hw.payloads import Payloads
from latte_hw.reuse_datapath import ReuseDatapath
from latte_hw.sequencer import Sequencer
from latte_hw.softmax import Softmax
from latte_hw.streams import Fifo, Valid
from latte_hw.threshold_filter import HeadThresholdFilter
from latte_hw.weighted_sum import WeightedSum


class LatteHead(wiring.Component):
    """Threshold-pruned attention of one head at a time.

    Block diagram::

        i_k, i_v ──> store ──beat_port──┐     ┌──key_port──┐          ┌──value_port──┐
                                        v     v            v          v              │
        i_query ──> sequencer ──> estimator ─> filter ─> reuse ─> softmax ─> weighted_sum ──> o_out

    Successive queries overlap: while one is estimated, the one before has its kept scores completed and the one before
    that is summed up. Loading the next head's K and V overlaps too.

    Parameters
    ----------
    config
        Every elaboration-time parameter.
    taps
        Bring the stages to ports for verification: `tap_estimate`, `tap_kept`, `tap_score`, `tap_prob` are valid in
        the cycle in which an item passes. The core behaves the same with and without.

    Members
    -------
    i_table, i_load, i_k, i_v, i_job, i_query, o_out
        See :class:`latte_hw.payloads.Payloads` for the payloads, :class:`~latte_hw.kv_store.KvStore` and
        :class:`~latte_hw.sequencer.Sequencer` for the order in which they are taken.
    o_counters
        Running totals.

    Throughput: `params.cycles_per_query`; latency of a lone query: at most `params.query_latency`.
    """

    def __init__(self, config: LatteConfig, *, taps: bool = False) -> None:
        self.config = config
        self.params = HeadParams(config)
        self.taps = taps
        payloads = Payloads(self.params)
        members: dict[str, Any] = {
            "i_table": In(stream.Signature(payloads.table_entry)),
            "i_load": In(stream.Signature(payloads.load)),
            "i_k": In(stream.Signature(payloads.element_row)),
            "i_v": In(stream.Signature(payloads.element_row)),
            "i_job": In(stream.Signature(payloads.job)),
            "i_q": In(stream.Signature(payloads.element_row)),
            "o_out": Out(stream.Signature(payloads.out_row)),
            "o_counters": Out(payloads.counters),
        }
        if taps:
            members |= {
                "tap_estimate": Out(Valid(payloads.estimate_beat)),
                "tap_kept": Out(Valid(payloads.kept_key)),
                "tap_score": Out(Valid(payloads.scored_key)),
                "tap_prob": Out(Valid(payloads.weighted_key)),
            }
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params, payloads = self.params, Payloads(self.params)
        m.submodules.store = store = KvStore(params)
        m.submodules.sequencer = sequencer = Sequencer(params)
        m.submodules.estimator = estimator = MS4BEstimator(params)
        m.submodules.filter = threshold_filter = HeadThresholdFilter(params)
        m.submodules.reuse = reuse = ReuseDatapath(params)
        m.submodules.softmax = softmax = Softmax(params)
        m.submodules.weighted_sum = weighted_sum = WeightedSum(params)

        for name in ("i_load", "i_k", "i_v"):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(store, name))
        for name, port in (("i_table", self.i_table), ("i_job", self.i_job), ("i_query", self.i_q)):
            wiring.connect(m, wiring.flipped(port), getattr(sequencer, name))
        wiring.connect(m, store.o_loaded, sequencer.i_loaded)
        wiring.connect(m, estimator.beat_port, store.beat_port)
        wiring.connect(m, reuse.key_port, store.key_port)
        wiring.connect(m, weighted_sum.value_port, store.value_port)
        m.d.comb += store.i_free.eq(weighted_sum.o_free)

        # What a block needs of a query waits beside the data path until its row gets there.
        for name, source, sink, depth in (
            ("estimator_queries", sequencer.o_estimator, estimator.i_query, params.query_queue_depth),
            ("thresholds", sequencer.o_threshold, threshold_filter.i_threshold, params.rows_in_flight),
            ("reuse_queries", sequencer.o_reuse, reuse.i_query, params.query_queue_depth),
            ("scales", sequencer.o_scale, softmax.i_scale, params.rows_in_flight),
            ("rows", sequencer.o_row, weighted_sum.i_row, params.rows_in_flight),
        ):
            m.submodules[name] = queue = Fifo(source.payload.shape(), depth)
            wiring.connect(m, source, queue.i)
            wiring.connect(m, queue.o, sink)

        wiring.connect(m, estimator.o_beat, threshold_filter.i_beat)
        wiring.connect(m, threshold_filter.o_kept, reuse.i_kept)
        wiring.connect(m, reuse.o_scored, softmax.i_scored)
        wiring.connect(m, softmax.o_weighted, weighted_sum.i_weighted)
        wiring.connect(m, weighted_sum.o_out, wiring.flipped(self.o_out))

        def passes(port: Any) -> Any:
            return port.valid & port.ready

        counters = Signal(payloads.counters)
        kept = threshold_filter.o_kept
        m.d.comb += self.o_counters.eq(counters)
        m.d.sync += [
            counters.queries.eq(counters.queries + passes(weighted_sum.o_out)),
            counters.keys_seen.eq(counters.keys_seen + threshold_filter.o_seen),
            counters.survivors.eq(counters.survivors + threshold_filter.o_survivors),
            counters.kept.eq(counters.kept + (passes(kept) & kept.payload.kept)),
        ]
        if self.taps:
            for tap, port in (
                (self.tap_estimate, estimator.o_beat),
                (self.tap_kept, threshold_filter.o_kept),
                (self.tap_score, reuse.o_scored),
                (self.tap_prob, softmax.o_weighted),
            ):
                m.d.comb += [tap.valid.eq(passes(port)), tap.payload.eq(port.payload)]
        return m
