"""The dense baseline: int8 attention over every key, with the ports and the arithmetic of a LATTE head core."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.config import DenseConfig
from latte_hw.core.dense.blocks import DenseBlocks
from latte_hw.core.dense.payloads import DensePayloads
from latte_hw.core.dense.scores import DenseScores
from latte_hw.core.dense.softmax import DenseSoftmax
from latte_hw.core.dense.weighted_sum import DenseWeightedSum
from latte_hw.core.kv_store import KvStore
from latte_hw.core.payloads import Payloads
from latte_hw.core.sequencer import Sequencer
from latte_hw.lib.streams import Fifo, Valid, delayed
from latte_hw.params.dense import DenseParams, port_params


class DenseHead(wiring.Component):
    """Attention of one head at a time, nothing pruned: what a LATTE head is to be held against.

    Block diagram::

        i_k, i_v ──> store ──key_port──┐              ┌──value_port──┐
                                       v              v              │
        i_q ──> sequencer ──> blocks ──> scores ──> softmax ──> weighted_sum ──> o_out

    B = `queries_per_scan` queries are worked on in parallel: one row of K and one of V is read per cycle, whatever B
    is, and each is multiplied with all of them, 2·D·B multiply-adds of 8 x 8 bits per cycle. The scores of one block
    are computed while softmax and weighted sum work on the block before. Elements are used as they come, -128 to 127.

    Parameters
    ----------
    config
        The configuration. Fields of a LATTE head that only pruning needs are not in it.
    taps
        Bring the stages to ports for verification: `tap_score` and `tap_prob` are valid in the cycle in which a key
        of a block passes. The core behaves the same with and without.

    Members
    -------
    i_table, i_load, i_k, i_v, i_job, i_q, o_out
        As in :class:`latte_hw.core.head.LatteHead`, with the same payloads. The threshold of a table entry is ignored.
    o_counters
        Running totals; `survivors` and `kept` equal `keys_seen`.
    tap_score, tap_prob
        With `taps`.

    Throughput: `params.cycles_per_block`, exactly the number of valid keys for `params.shortest_block` of them and
    more; latency: `params.block_latency`.
    """

    def __init__(self, config: DenseConfig, *, taps: bool = False) -> None:
        self.config = config
        self.params = DenseParams.of(config)
        self.taps = taps
        ports, payloads = Payloads(port_params(config)), DensePayloads(self.params)
        members: dict[str, Any] = {
            "i_table": In(stream.Signature(ports.table_entry)),
            "i_load": In(stream.Signature(ports.load)),
            "i_k": In(stream.Signature(ports.element_row)),
            "i_v": In(stream.Signature(ports.element_row)),
            "i_job": In(stream.Signature(ports.job)),
            "i_q": In(stream.Signature(ports.element_row)),
            "o_out": Out(stream.Signature(ports.out_row)),
            "o_counters": Out(ports.counters),
        }
        if taps:
            members |= {
                "tap_score": Out(Valid(payloads.scored_block)),
                "tap_prob": Out(Valid(payloads.weighted_block)),
            }
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params = self.params
        m.submodules.store = store = KvStore(params, banks=False)
        m.submodules.sequencer = sequencer = Sequencer(params)
        m.submodules.blocks = blocks = DenseBlocks(params)
        m.submodules.scores = scores = DenseScores(params)
        m.submodules.softmax = softmax = DenseSoftmax(params)
        m.submodules.weighted_sum = weighted_sum = DenseWeightedSum(params)

        for name in ("i_load", "i_k", "i_v"):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(store, name))
        for name, port in (("i_job", self.i_job), ("i_query", self.i_q)):
            wiring.connect(m, wiring.flipped(port), getattr(sequencer, name))
        m.d.comb += [self.i_table.ready.eq(sequencer.i_table.ready), sequencer.i_table.valid.eq(self.i_table.valid)]
        for name in ("head", "mantissa", "shift"):  # the threshold stays 0 and costs no RAM
            m.d.comb += sequencer.i_table.payload[name].eq(self.i_table.payload[name])
        wiring.connect(m, store.o_loaded, sequencer.i_loaded)
        wiring.connect(m, scores.key_port, store.key_port)
        wiring.connect(m, weighted_sum.value_port, store.value_port)
        m.d.comb += [
            store.i_free.eq(weighted_sum.o_free),
            sequencer.o_threshold.ready.eq(1),
            sequencer.o_reuse.ready.eq(1),
        ]
        wiring.connect(m, sequencer.o_estimator, blocks.i_query)
        wiring.connect(m, sequencer.o_scale, blocks.i_scale)
        wiring.connect(m, sequencer.o_row, blocks.i_row)
        wiring.connect(m, blocks.o_block, scores.i_block)

        # What a block of queries needs waits beside the data path until its scores get there.
        for name, source, sink in (
            ("scales", blocks.o_scale, softmax.i_scale),
            ("rows", blocks.o_row, weighted_sum.i_row),
        ):
            m.submodules[name] = queue = Fifo(source.payload.shape(), params.rows_in_flight)
            wiring.connect(m, source, queue.i)
            wiring.connect(m, queue.o, sink)
        wiring.connect(m, scores.o_scored, softmax.i_scored)
        wiring.connect(m, softmax.o_weighted, weighted_sum.i_weighted)
        wiring.connect(m, weighted_sum.o_out, wiring.flipped(self.o_out))

        def passes(port: Any) -> Any:
            return port.valid & port.ready

        queries = Signal.like(self.o_counters.queries)
        pairs = Signal.like(self.o_counters.keys_seen)
        for counter, event, name in (
            (queries, passes(weighted_sum.o_out), "query_event"),
            (pairs, scores.o_seen, "pairs_event"),
        ):
            m.d.sync += counter.eq(counter + delayed(m, event, 1, name))
        m.d.comb += self.o_counters.queries.eq(queries)
        m.d.comb += [self.o_counters[name].eq(pairs) for name in ("keys_seen", "survivors", "kept")]
        if self.taps:
            for tap, port in ((self.tap_score, scores.o_scored), (self.tap_prob, softmax.o_weighted)):
                m.d.comb += [tap.valid.eq(passes(port)), tap.payload.eq(port.payload)]
        return m
