"""Output rows of several lanes in order again; dispatching and collecting as one are in `test_head`."""

from typing import Any

import pytest

from latte_hw.config import LatteConfig
from latte_hw.core.dispatcher import InOrderCollector
from latte_hw.lib.names import numbered
from latte_hw.params import HeadParams
from sim.blocks.block_bench import run_block
from sim.lib.streams import Flow

LANES = 3
PARAMS = HeadParams(LatteConfig(head_dim=8, max_keys=16, keys_per_cycle=2, queries_per_scan=LANES))


def out_row(number: int, last: bool) -> dict[str, Any]:
    return {"row": [number] * 8, "last": int(last)}


@pytest.mark.each_choice
@pytest.mark.parametrize("flow", list(Flow))
@pytest.mark.parametrize("jobs", [[3], [1], [4, 2, 7], [1, 1, 3, 5]])
def test_rows_come_in_the_order_of_their_queries(jobs: list[int], flow: str) -> None:
    inputs: dict[str, list[Any]] = {name: [] for name in numbered("i_out", LANES)}
    expected, number = [], 0
    for queries in jobs:
        for query in range(queries):
            row = out_row(number, query == queries - 1)
            inputs[f"i_out_{query % LANES}"].append(row)
            expected.append(row)
            number += 1
    run = run_block(InOrderCollector(PARAMS), inputs, {"o_out": len(expected)}, flow=flow, seed=1)
    assert run.outputs["o_out"] == expected
