"""Queries gathered into blocks, with the queues behind them: none lost, whoever stalls."""

from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from latte_hw.config import DenseConfig
from latte_hw.core.dense.blocks import DenseBlocks
from latte_hw.core.dense.payloads import DensePayloads
from latte_hw.lib.streams import Fifo
from latte_hw.params.dense import DenseParams
from sim.blocks.block_bench import run_block
from sim.lib.streams import Flow

ROWS, DIM = 3, 8
PARAMS = DenseParams.of(DenseConfig(head_dim=DIM, max_keys=16, queries_per_scan=ROWS))


class QueuedBlocks(wiring.Component):
    """The blocks with the least queues for scales and rows; the shares of a query come as one stream."""

    def __init__(self) -> None:
        self.params = PARAMS
        payloads = DensePayloads(PARAMS)
        self.shares = {
            "query": payloads.estimator_query, "scale": payloads.softmax_scale, "row": payloads.row_end
        }  # fmt: skip
        super().__init__(
            {
                "i_share": In(stream.Signature(data.StructLayout(self.shares))),
                "o_block": Out(stream.Signature(payloads.query_block)),
                "o_scale": Out(stream.Signature(payloads.softmax_scale)),
                "o_row": Out(stream.Signature(payloads.row_block)),
            }
        )

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        m.submodules.blocks = blocks = DenseBlocks(PARAMS)
        m.d.comb += self.i_share.ready.eq(blocks.i_row.ready)
        for name in self.shares:
            port = getattr(blocks, f"i_{name}")
            m.d.comb += [port.valid.eq(self.i_share.valid), port.payload.eq(self.i_share.payload[name])]
        wiring.connect(m, blocks.o_block, wiring.flipped(self.o_block))
        for name in ("scale", "row"):
            source = getattr(blocks, f"o_{name}")
            m.submodules[name] = queue = Fifo(source.payload.shape(), 2)
            wiring.connect(m, source, queue.i)
            wiring.connect(m, queue.o, wiring.flipped(getattr(self, f"o_{name}")))
        return m


def share(number: int, *, empty: bool = False, last: bool = True) -> dict[str, Any]:
    """What the sequencer hands out for one query, or for a job without any."""
    return {
        "query": {
            "high": [number - dim for dim in range(DIM)],
            "scan": {"buffer": number % 2, "keys": {"count": number % 17}, "others": 0},
        },
        "scale": {"mantissa": number, "shift": number % 16},
        "row": {"buffer": number % 2, "empty": int(empty), "last": int(last), "release": int(last)},
    }


def gathered(jobs: list[int]) -> tuple[list[Any], dict[str, list[Any]]]:
    """The shares of jobs of so many queries, and what comes out for them; a job without any yields a row alone."""
    sent: list[Any] = []
    outputs: dict[str, list[Any]] = {"o_block": [], "o_scale": [], "o_row": []}
    for queries in jobs:
        if not queries:
            sent.append(share(len(sent), empty=True))
            outputs["o_row"].append(sent[-1]["row"])
        job = [share(len(sent) + query, last=query == queries - 1) for query in range(queries)]
        sent += job
        for start in range(0, queries, ROWS):
            block = job[start : start + ROWS]
            scans = [one["query"]["scan"] for one in block]
            outputs["o_block"].append(
                {
                    "queries": [one["query"]["high"] for one in block],
                    "buffer": scans[-1]["buffer"],
                    "keys": scans[-1]["keys"]["count"],
                    "valid_keys": [scan["keys"]["count"] for scan in scans] + [0] * (ROWS - len(block)),
                }
            )
            outputs["o_scale"].append(block[-1]["scale"])
            outputs["o_row"].append(block[-1]["row"] | {"rows": len(block)})
    return sent, outputs


@pytest.mark.each_choice
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("flow", list(Flow))
@pytest.mark.parametrize("jobs", [[0] * 24, [3, 0, 0, 0, 1, 0, 0, 7, 0], [1] * 12, [9, 2, 4, 3, 6]])
def test_every_query_gets_into_one_block(jobs: list[int], flow: str, seed: int) -> None:
    sent, expected = gathered(jobs)
    counts = {name: len(items) for name, items in expected.items()}
    found = run_block(QueuedBlocks(), {"i_share": sent}, counts, flow=flow, seed=seed).outputs
    assert found["o_scale"] == expected["o_scale"]
    for row, wanted in zip(found["o_row"], expected["o_row"], strict=True):
        assert {name: row[name] for name in wanted} == wanted
    for block, wanted in zip(found["o_block"], expected["o_block"], strict=True):
        assert {"queries": block["queries"][: len(wanted["queries"])], **block["scan"]} == wanted
