"""Weighted sum of the values of a row's kept keys, divided by the total weight."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.core.accumulator import Accumulator, take_weights
from latte_hw.core.divider import Divider
from latte_hw.core.kv_rams import ReadPort, beside_read
from latte_hw.core.payloads import Payloads, slots
from latte_hw.lib.names import numbered
from latte_hw.lib.streams import CreditFifo
from latte_hw.params import HeadParams


class WeightedSum(wiring.Component):
    """`out[d] = round(Σ prob·v[d] · 2^F / Σ prob)`, ties upwards, F = `out_fraction_bits`; 0 for a row without a key.

    Members
    -------
    i_row
        What a row needs beside its weights, in the order of the rows.
    i_weighted
        Weights, from the softmax.
    value_port
        Reads V. With R = `kept_per_cycle` = 2, `value_port_0` and `value_port_1`: a port for each key of an item.
    o_out
        One row per query.
    o_free
        High for one cycle when the values of a released K/V buffer have been read.

    Latency: `params.latency.weighted_sum` from a row's last weight to its output, then the output queue.
    Throughput: a row takes max(items, `division_cycles`) cycles.
    """

    def __init__(self, params: HeadParams) -> None:
        self.params = params
        self.kept_per_cycle = params.config.kept_per_cycle
        payloads = Payloads(params)
        super().__init__(
            {
                "i_row": In(stream.Signature(payloads.row_end)),
                "i_weighted": In(stream.Signature(payloads.weighted_key)),
                **{name: Out(ReadPort(params.widths.key_bits, payloads.element_row)) for name in self.value_ports},
                "o_out": Out(stream.Signature(payloads.out_row)),
                "o_free": Out(1),
            }
        )

    @property
    def value_ports(self) -> list[str]:
        return numbered("value_port", self.kept_per_cycle)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        params, payloads = self.params, Payloads(self.params)
        m.submodules.landing = landing = CreditFifo(payloads.out_row, params.depths.out_rows)
        wiring.connect(m, landing.o, wiring.flipped(self.o_out))
        tag = data.StructLayout({"last": 1})  # of its job
        m.submodules.sums = sums = Accumulator(params, tag)
        m.submodules.divider = divider = Divider(params, tag)

        item, row = self.i_weighted.payload, self.i_row.payload
        ports = [getattr(self, name) for name in self.value_ports]
        _, row_ends = take_weights(
            m, self.i_weighted, self.i_row, ports, self.o_free,
            distance=params.division.cycles, room=landing.o_credit, last_group=params.division.last_group,
            ahead=params.pipeline.row_end > 0,
        )  # fmt: skip
        m.d.comb += landing.i_take.eq(row_ends)
        for port, key in zip(ports, slots(item.key, self.kept_per_cycle), strict=True):
            m.d.comb += [port.request.payload.buffer.eq(row.buffer), port.request.payload.address.eq(key)]
        m.d.comb += [
            sums.i.valid.eq(ports[0].response.valid),
            sums.i.payload.prob.eq(beside_read(m, params, item.prob, "prob")),
            sums.i.payload.last.eq(beside_read(m, params, item.last, "last")),
            sums.i.payload.tag.last.eq(beside_read(m, params, row.last, "job_last")),
            *(
                getattr(sums, name).eq(port.response.payload)
                for name, port in zip(numbered("value", self.kept_per_cycle), ports, strict=True)
            ),
            landing.i.valid.eq(divider.o.valid),
            landing.i.payload.row.eq(divider.o.payload.row),
            landing.i.payload.last.eq(divider.o.payload.tag.last),
        ]
        wiring.connect(m, sums.o, divider.i)
        return m
