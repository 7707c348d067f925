"""The whole head by hand: jobs of every shape, K/V that stay or overlap, counters, and what must never hang.

That every stage of every configuration equals the golden model is shown on the emitted Verilog, in `tests/sim`.
"""

from typing import Any

import numpy as np
import pytest

from golden.blocks.head import HeadRegisters, HeadResult, run_head
from latte_hw.config import DotChoice, LatteConfig
from latte_hw.config.dot import REUSE
from latte_hw.config.presets import preset
from latte_hw.core.head import LatteHead
from latte_hw.params import HeadParams
from sim.blocks.block_bench import BlockRun, run_block
from sim.lib.streams import Flow

TINY = preset("tiny")
CORES = {f"{queries} queries per scan": TINY.replace(queries_per_scan=queries) for queries in (1, 2, 3, 8)} | {
    "pairs of kept keys": TINY.replace(kept_per_cycle=2),
    "pairs, one key per cycle, one buffer": TINY.replace(kept_per_cycle=2, keys_per_cycle=1, kv_buffers=1),
    "large": TINY.replace(pipeline="large", table_queries=1),
    "large, pairs": TINY.replace(pipeline="large", kept_per_cycle=2),
    "large, 2 queries per scan": TINY.replace(pipeline="large", queries_per_scan=2),
}


def some_cores(first: int) -> pytest.MarkDecorator:
    """Every third core; the others are slow."""
    names = [pytest.param(name, marks=[] if n % 3 == first else pytest.mark.slow) for n, name in enumerate(CORES)]
    return pytest.mark.parametrize("core", names)


SCALE = (40000, 12)  # weights that cover their whole range at these random scores


class Session:
    """Loads and jobs in the order in which they are sent, and what the golden model makes of them."""

    def __init__(self, config: LatteConfig, seed: int) -> None:
        self.params = HeadParams(config)
        self.rng = np.random.default_rng(seed)
        self.thresholds = [0, 3, 17, self.params.widths.threshold_range[1]]
        self.inputs: dict[str, list[Any]] = {name: [] for name in ("i_table", "i_load", "i_k", "i_v", "i_job", "i_q")}
        self.rows: list[tuple[list[int], int]] = []
        self.counters = np.zeros(3, np.int64)
        for head, threshold in enumerate(self.thresholds):
            mantissa, shift = SCALE
            entry = {"head": head, "threshold": threshold, "mantissa": mantissa, "shift": shift}
            self.inputs["i_table"].append(entry)

    def _rows(self, tensor: str, count: int) -> np.ndarray:
        size = (count, self.params.config.head_dim)
        return self.rng.integers(-128, self.params.widths.greatest(tensor), size, endpoint=True).astype(np.int8)

    def load(self, n_keys: int) -> None:
        self.k, self.v = self._rows("k", n_keys), self._rows("v", n_keys)
        self.inputs["i_load"].append({"n_keys": n_keys})
        self.inputs["i_k"] += self.k.tolist()
        self.inputs["i_v"] += self.v.tolist()

    def job(self, n_queries: int, *, head: int = 1, offset: int | None = None, release: bool = True) -> None:
        n_keys, q = len(self.k), self._rows("q", n_queries)
        offset = n_keys - n_queries if offset is None else offset
        self.inputs["i_job"].append(
            {"head": head, "n_queries": n_queries, "causal_offset": offset, "release": int(release)}
        )
        self.inputs["i_q"] += q.tolist()
        if n_queries == 0 or n_keys == 0:
            self.rows += [([0] * q.shape[1], int(i == n_queries - 1)) for i in range(n_queries)]
            return
        result = HeadResult.empty(len(q), *self.k.shape)
        run_head(q, self.k, self.v, HeadRegisters(self.thresholds[head], *SCALE), offset, self.params, result)
        self.rows += [(row, int(i == n_queries - 1)) for i, row in enumerate(result.out.tolist())]
        self.counters += result.counters

    def check(self, flow: str = "free", seed: int = 0) -> BlockRun:
        """Run the gateware; its rows and counters must be the golden model's, with nothing left over."""
        head = LatteHead(self.params.config)
        run = run_block(
            head, self.inputs, {"o_out": len(self.rows)}, flow=flow, seed=seed, watch=["o_counters"], cycle_limit=40_000
        )
        assert [(item["row"], item["last"]) for item in run.outputs["o_out"]] == self.rows
        fields = {name: (field.offset, field.width) for name, field in head.o_counters.shape()}
        final = {
            name: run.watched["o_counters"][-1] >> offset & (1 << width) - 1 for name, (offset, width) in fields.items()
        }
        expected = dict(zip(("keys_seen", "survivors", "kept"), self.counters.tolist(), strict=True))
        assert final == expected | {"queries": len(self.rows)}
        return run


@pytest.mark.each_choice
# Entries of the table must be written before their job starts, so the sources never idle here.
@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("flow", [Flow.FREE, Flow.STALLED])
@pytest.mark.parametrize("seed", range(2))
def test_jobs_of_every_shape(flow: str, seed: int, core: str) -> None:
    session = Session(CORES[core], seed)
    for n_keys, n_queries, head in ((32, 5, 0), (1, 1, 1), (7, 20, 2), (31, 32, 3), (2, 3, 1)):
        session.load(n_keys)
        session.job(n_queries, head=head)
    session.check(flow, seed)


@some_cores(0)
def test_grouped_queries_keep_keys_and_values(core: str) -> None:
    session = Session(CORES[core], 3)
    for _ in range(2):
        session.load(19)
        for head in range(3):
            session.job(6, head=head, release=head == 2)
    session.check()


@pytest.mark.parametrize("core", ["1 queries per scan", "3 queries per scan", "pairs of kept keys"])
@pytest.mark.parametrize("buffers", [1, 2])
def test_one_buffer_or_two(buffers: int, core: str) -> None:
    session = Session(CORES[core].replace(kv_buffers=buffers), 4)
    for _ in range(4):
        session.load(32)
        session.job(8)
    run = session.check()
    # The third load needs a free buffer; with two, the second is taken while the first head is computed.
    first_output = run.cycles["o_out"][0]
    assert (run.cycles["i_load"][1] < first_output) == (buffers == 2)


def test_loading_is_hidden_behind_computing() -> None:
    """With two buffers, the second head costs no more than its queries: its K and V were loaded meanwhile."""
    session = Session(TINY.replace(causal=False), 5)
    for _ in range(3):
        session.load(32)
        session.job(16, head=3)
    run = session.check()
    ends = run.cycles["o_out"][15::16]
    queries = 16 * session.params.bounds.cycles_per_query(32, 32)
    assert ends[2] - ends[1] <= queries
    assert ends[1] - ends[0] <= queries


@some_cores(1)
def test_jobs_without_queries_and_loads_without_keys(core: str) -> None:
    session = Session(CORES[core], 6)
    session.load(4)
    session.job(0)
    session.load(6)
    session.job(3, release=False)
    session.job(0, release=False)
    session.job(0)
    session.load(0)
    session.job(2, offset=1)
    session.load(5)
    session.job(5)
    session.check()


@some_cores(2)
def test_queries_without_a_valid_key_put_out_zeros(core: str) -> None:
    session = Session(CORES[core], 7)
    session.load(9)
    session.job(12, offset=-4)  # the first four see nothing
    session.load(9)
    session.job(4, offset=-20)  # none sees anything
    session.check("stalled")
    assert session.rows[0][0] == [0] * TINY.head_dim


def test_an_entry_may_be_rewritten_for_a_later_job() -> None:
    session = Session(TINY, 8)
    session.load(16)
    session.job(4, head=0)
    first = session.check()
    rewritten = Session(TINY, 8)
    rewritten.thresholds[0] = 40
    rewritten.inputs["i_table"].append(rewritten.inputs["i_table"][0] | {"threshold": 40})
    rewritten.load(16)
    rewritten.job(4, head=0)
    second = rewritten.check()
    assert first.outputs["o_out"] != second.outputs["o_out"]


@pytest.mark.parametrize("kept_per_cycle", [1, 2])
def test_single_query_is_as_fast_as_documented(kept_per_cycle: int) -> None:
    for n_keys, head in ((1, 3), (32, 3), (32, 0), (17, 2)):
        session = Session(TINY.replace(kept_per_cycle=kept_per_cycle), n_keys)
        session.load(n_keys)
        session.job(1, head=head)
        run = session.check()
        latency = run.cycles["o_out"][0] - run.cycles["i_q"][0]
        assert latency <= session.params.bounds.query_latency(n_keys, int(session.counters[2]))


@pytest.mark.each_choice
@pytest.mark.parametrize("kept_per_cycle", [1, 2])
@pytest.mark.parametrize("reuse", [None, DotChoice(table_dims=3)])
@pytest.mark.parametrize("dot", [DotChoice(table_dims=3), DotChoice(table_queries=1)])
@pytest.mark.parametrize("head", [0, 3])
def test_queries_keep_the_pace_of_every_kind_of_table(
    dot: DotChoice, reuse: DotChoice | None, head: int, kept_per_cycle: int
) -> None:
    kinds = dot.fields() | (reuse.fields(REUSE) if reuse else {})
    config = TINY.replace(causal=False, kept_per_cycle=kept_per_cycle, **kinds)
    session = Session(config, 9)
    session.load(32)
    session.job(24, head=head)
    run = session.check()
    kept = int(session.counters[2]) // 24 + 1
    cycles = run.cycles["o_out"]
    assert cycles[-1] - cycles[0] <= 23 * session.params.bounds.cycles_per_query(32, kept)
    if dot.table_queries == 1:  # the gap is real: as slow as the formula without its slack, at least
        assert cycles[-1] - cycles[0] >= 23 * session.params.scan_dot.scan_gap


@pytest.mark.parametrize("queries", [2, 4])
def test_scans_that_several_queries_share_save_their_cycles(queries: int) -> None:
    """Where the scan limits, B queries take as long as one."""
    session = Session(TINY.replace(causal=False, keys_per_cycle=1, max_keys=64, queries_per_scan=queries), 9)
    session.load(64)
    session.job(8 * queries, head=0)
    run = session.check()
    ends = np.array(run.cycles["o_out"])[queries - 1 :: queries]
    assert np.diff(ends)[1:].max() <= 64 + session.params.bounds.cycle_slack
