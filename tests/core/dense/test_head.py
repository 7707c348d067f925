"""The dense core by hand: jobs of every shape, blocks that are not full, K/V that stay, cycles, and faults that show.

That every configuration equals the golden model in Verilog is shown in `tests/sim/rtl/test_dense.py`.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Const, Shape, signed

import latte_hw.core.accumulator
import latte_hw.core.dense.scores
import latte_hw.core.dense.softmax
from golden.dense import dense_attention
from golden.files.tensors import TensorFile
from latte_hw.config import DenseConfig
from latte_hw.config.presets import preset
from latte_hw.core.dense.head import DenseHead
from latte_hw.params.dense import DenseParams
from sim.blocks.block_bench import BlockRun, run_block
from sim.lib.streams import Flow

TINY = DenseConfig.of(preset("tiny"))
SCALES = [(40000, 12), (65000, 14), (33000, 9)]
"""Softmax scale of each head: weights that cover their whole range at these random scores."""


def block(b: int, **changes: object) -> DenseConfig:
    return TINY.replace(queries_per_scan=b, **changes)


class Session:
    """Loads and jobs in the order in which they are sent, and what the golden model makes of them."""

    def __init__(self, config: DenseConfig, seed: int) -> None:
        self.config = config
        self.params = DenseParams.of(config)
        self.rng = np.random.default_rng(seed)
        self.inputs: dict[str, list[Any]] = {name: [] for name in ("i_table", "i_load", "i_k", "i_v", "i_job", "i_q")}
        self.rows: list[tuple[list[int], int]] = []
        self.pairs = 0
        for head, (mantissa, shift) in enumerate(SCALES):
            entry = {"head": head, "threshold": head, "mantissa": mantissa, "shift": shift}
            self.inputs["i_table"].append(entry)

    def _draw(self, count: int) -> np.ndarray:
        return self.rng.integers(-128, 128, (count, self.config.head_dim)).astype(np.int8)

    def load(self, n_keys: int) -> None:
        self.k, self.v = self._draw(n_keys), self._draw(n_keys)
        self.inputs["i_load"].append({"n_keys": n_keys})
        self.inputs["i_k"] += self.k.tolist()
        self.inputs["i_v"] += self.v.tolist()

    def job(self, n_queries: int, *, head: int = 1, offset: int | None = None, release: bool = True) -> None:
        q, offset = self._draw(n_queries), len(self.k) - n_queries if offset is None else offset
        job = {"head": head, "n_queries": n_queries, "causal_offset": offset, "release": int(release)}
        self.inputs["i_job"].append(job)
        self.inputs["i_q"] += q.tolist()
        out = np.zeros(q.shape, np.int64)
        if n_queries and len(self.k):
            one, scale = np.ones(1, np.float32), np.array([SCALES[head]], np.int64)
            tensors = TensorFile(
                q[None], self.k[None], self.v[None], one, one, one, np.zeros(1, np.int64), scale, offset
            )
            results = dense_attention(tensors, self.config)
            out = results["out"][0]
            self.pairs += int(results["counters"][0, 0])
        self.rows += [(row, int(i == n_queries - 1)) for i, row in enumerate(out.tolist())]

    def check(self, flow: str = Flow.FREE, seed: int = 0) -> BlockRun:
        """Run the gateware; its rows and counters must be the golden model's, with nothing left over."""
        head = DenseHead(self.config)
        expected = {"o_out": len(self.rows)}
        run = run_block(head, self.inputs, expected, flow=flow, seed=seed, watch=["o_counters"])
        assert [(item["row"], item["last"]) for item in run.outputs["o_out"]] == self.rows
        final = run.watched["o_counters"][-1]
        fields = {name: (field.offset, field.width) for name, field in head.o_counters.shape()}
        counters = {name: final >> offset & (1 << width) - 1 for name, (offset, width) in fields.items()}
        names = ("keys_seen", "survivors", "kept")
        assert counters == {"queries": len(self.rows)} | dict.fromkeys(names, self.pairs)
        return run


@pytest.mark.each_choice
# Entries of the table must be written before their job starts, so the sources never idle here.
@pytest.mark.parametrize("flow", [Flow.FREE, Flow.STALLED])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("b", [1, 2, 3, 5, 16])
def test_jobs_of_every_shape(b: int, causal: bool, flow: str) -> None:
    session = Session(block(b, causal=causal), b)
    for n_keys, n_queries, head in ((32, 5, 0), (1, 1, 1), (7, 20, 2), (31, 32, 0), (2, 3, 1)):
        session.load(n_keys)
        session.job(n_queries, head=head)
    session.check(flow, 3)


@pytest.mark.parametrize("b", [1, 4])
def test_jobs_without_queries_and_loads_without_keys(b: int) -> None:
    session = Session(block(b), 6)
    session.load(4)
    session.job(0)
    session.load(6)
    session.job(3, release=False)
    session.job(0, release=False)
    session.job(0)
    session.load(0)
    session.job(6, offset=1)
    session.load(5)
    session.job(5)
    session.check()


@pytest.mark.parametrize("b", [1, 3, 8])
def test_queries_without_a_valid_key_put_out_zeros(b: int) -> None:
    session = Session(block(b), 7)
    session.load(9)
    session.job(12, offset=-4)  # the first four see nothing
    session.load(9)
    session.job(4, offset=-20)  # none sees anything
    session.check(Flow.STALLED)
    assert session.rows[0][0] == [0] * TINY.head_dim


@pytest.mark.parametrize("buffers", [1, 2])
def test_grouped_queries_keep_keys_and_values(buffers: int) -> None:
    session = Session(block(4, kv_buffers=buffers), 3)
    for _ in range(3):
        session.load(19)
        for head in range(3):
            session.job(6, head=head, release=head == 2)
    run = session.check()
    assert (run.cycles["i_load"][1] < run.cycles["o_out"][0]) == (buffers == 2)


def test_loading_is_hidden_behind_computing() -> None:
    session = Session(block(2, causal=False), 5)
    for _ in range(4):
        session.load(32)
        session.job(10)
    ends = session.check().cycles["o_out"][9::10]
    assert [after - before for before, after in pairwise(ends)] == [5 * 32] * 3


# --- cycles -----------------------------------------------------------------------------------------------------------

PACES = {
    "tables": {},
    "multipliers": {"dot": "multipliers"},
    "wider": {"head_dim": 20, "out_fraction_bits": 5},
    "no power of two": {"max_keys": 62, "prob_bits": 12},
}


LARGE = [
    pytest.param(name, b, marks=[] if (name, b) == ("tables", 8) else pytest.mark.slow)
    for name in PACES
    for b in (5, 8)
]


@pytest.mark.each_choice
@pytest.mark.parametrize(("name", "b"), [*((name, b) for name in PACES for b in (1, 2)), *LARGE])
def test_a_block_takes_exactly_its_keys(name: str, b: int) -> None:
    """ceil(n_queries / B) · N and a constant, from the shortest block to a full buffer."""
    config = block(b, causal=False, **{"max_keys": 64} | PACES[name])
    params = DenseParams.of(config)
    for n_keys in (params.shortest_block, config.max_keys):
        for n_queries in (1, b, 4 * b, 3 * b + 1):
            session = Session(config, b)
            session.load(n_keys)
            session.job(n_queries)
            cycles = session.check().cycles
            blocks = -(-n_queries // b)
            rows_of_last = n_queries - (blocks - 1) * b
            last_output = cycles["o_out"][-1] - cycles["i_q"][0]
            assert last_output == params.job_latency(n_queries, [n_keys] * blocks)
            firsts = cycles["o_out"][::b]
            assert {after - before for before, after in pairwise(firsts)} <= {n_keys}
            constant = last_output - blocks * n_keys - n_keys  # the formula, written down here once more
            assert constant == min(b, n_queries) - 1 + rows_of_last - 1 + params.latency_constant


@pytest.mark.parametrize("b", [1, 4])
def test_jobs_follow_each_other_without_a_gap(b: int) -> None:
    """Causal blocks take the keys of their last query; jobs on the same keys and on others do not interrupt."""
    config = block(b, max_keys=64)
    session = Session(config, 2)
    keys: list[int] = []
    for n_keys in (60, 64, 63):
        session.load(n_keys)
        for release in (False, True):
            session.job(3 * b, offset=50 - 3 * b, release=release)
            keys += [50 - 2 * b, 50 - b, 50]
    firsts = session.check().cycles["o_out"][::b]
    scanned, summed = 0, [0]
    for count in keys:  # scans follow each other; a sum waits for its scan and for the sum before
        scanned += count
        summed.append(max(scanned, summed[-1]) + count)
    expected = [after - before for before, after in pairwise(summed[1:])]
    assert [after - before for before, after in pairwise(firsts)] == expected


@pytest.mark.parametrize("b", [1, 3])
@pytest.mark.parametrize("n_keys", [0, 1, 2, 11, 32])
def test_latency_of_a_single_block(n_keys: int, b: int) -> None:
    session = Session(block(b, causal=False), n_keys)
    session.load(n_keys)
    session.job(b)
    cycles = session.check().cycles
    assert cycles["o_out"][-1] - cycles["i_q"][0] == session.params.job_latency(b, [n_keys])


@pytest.mark.parametrize("b", [1, 6, 16])
@pytest.mark.parametrize("n_keys", [1, 5, 15])
def test_shorter_blocks_keep_the_bound(n_keys: int, b: int) -> None:
    session = Session(block(b, causal=False), n_keys)
    session.load(n_keys)
    session.job(2 * b)
    cycles = session.check().cycles
    assert cycles["o_out"][-1] - cycles["i_q"][0] <= session.params.job_latency(2 * b, [n_keys] * 2)
    assert n_keys < session.params.shortest_block


# --- faults must show -------------------------------------------------------------------------------------------------


def wrong_value(add_up: Callable[..., Any]) -> Callable[..., Any]:
    """The last product of every weighted sum is dropped."""
    return lambda sums, m, product, adds, ends, name: add_up(
        sums, m, product if int(name) < sums.params.config.head_dim - 1 else Const(0), adds, ends, name
    )


def narrow_keys(stationary_dot: Callable[..., Any]) -> Callable[..., Any]:
    """The sign plane of every key is dropped."""

    def build(timing: Any, *, keys: dict[str, Shape], **parameters: Any) -> Any:
        return stationary_dot(timing, keys=dict.fromkeys(keys, signed(7)), **parameters)

    return build


def forgotten_remainder(round_weight: Callable[..., None]) -> Callable[..., None]:
    """Every key is taken for the last of its row."""
    return lambda m, prob, guarded, kept, arrived, _, prefix: round_weight(
        m, prob, guarded, kept, arrived, arrived, prefix
    )


def swapped_queries(round_weight: Callable[..., None]) -> Callable[..., None]:
    """All queries of a block see the keys that its first one sees."""
    return lambda m, prob, guarded, kept, arrived, last, prefix: round_weight(
        m, prob, guarded, kept & (prefix == "row_0_"), arrived, last, prefix
    )


FAULTS = {
    "product": (latte_hw.core.accumulator.Accumulator, "_sum", wrong_value),
    "sign plane": (latte_hw.core.dense.scores, "stationary_dot", narrow_keys),
    "remainder": (latte_hw.core.dense.softmax, "round_weight", forgotten_remainder),
    "other queries": (latte_hw.core.dense.softmax, "round_weight", swapped_queries),
}


@pytest.mark.parametrize("fault", [None, *FAULTS])
def test_a_fault_in_the_arithmetic_is_red(fault: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(block(2), 4)
    session.load(32)
    session.job(6)
    if fault is None:
        session.check()
        return
    module, name, change = FAULTS[fault]
    monkeypatch.setattr(module, name, change(getattr(module, name)))
    with pytest.raises(AssertionError):
        session.check()


def test_a_corrupted_expectation_is_noticed() -> None:
    session = Session(block(2), 4)
    session.load(8)
    session.job(4)
    session.rows[3][0][7] += 1
    with pytest.raises(AssertionError):
        session.check()
