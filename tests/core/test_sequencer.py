"""The sequencer: what every block gets of each query, and when jobs, queries and buffers are taken."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from numpy.typing import NDArray

from golden.blocks.arith import split
from golden.blocks.threshold_filter import valid_keys
from latte_hw.config import LatteConfig, Rule, Split
from latte_hw.core.sequencer import Sequencer
from latte_hw.lib.streams import StreamRegister
from latte_hw.params import HeadParams
from sim.blocks.block_bench import BlockRun, run_block
from sim.lib.streams import Flow

TINY = LatteConfig(head_dim=8, max_keys=12, keys_per_cycle=4, heads=5, causal=True)
CONFIGURATIONS = {
    "causal": TINY,
    "all keys": TINY.replace(causal=False),
    "truncate": TINY.replace(split=Split.TRUNCATE),
    "no low part": TINY.replace(msb_bits=8),
    "static rule": TINY.replace(rule=Rule.STATIC),
    "one buffer": TINY.replace(kv_buffers=1),
    "one head": TINY.replace(heads=1),
    "large": TINY.replace(pipeline="large"),
    "initiation interval 2": TINY.replace(keys_per_cycle=12),
}
OUTPUTS = ("o_estimator", "o_threshold", "o_reuse", "o_scale", "o_row")


class TableFirst(wiring.Component):
    """A sequencer whose jobs wait until its table is written; later writes wait for the first row."""

    def __init__(self, params: HeadParams) -> None:
        self.sequencer = Sequencer(params)
        self.heads = params.config.heads
        super().__init__(dict(self.sequencer.signature.members.items()))

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        m.submodules.sequencer = sequencer = self.sequencer
        for name in ("i_query", "i_loaded"):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(sequencer, name))
        for name in OUTPUTS:
            source = getattr(sequencer, name)
            if sequencer.params.pipeline.row_issue:  # a bench may take back its `ready`, which a queue does not
                m.submodules[f"{name}_queue"] = queue = StreamRegister(source.payload.shape())
                wiring.connect(m, source, queue.i)
                source = queue.o
            wiring.connect(m, source, wiring.flipped(getattr(self, name)))
        written, started = Signal(range(self.heads + 1)), Signal()
        table_open, jobs_open = started | (written != self.heads), written == self.heads
        for gate, outer, inner in (
            (table_open, self.i_table, sequencer.i_table),
            (jobs_open, self.i_job, sequencer.i_job),
        ):
            m.d.comb += [
                inner.payload.eq(outer.payload),
                inner.valid.eq(outer.valid & gate),
                outer.ready.eq(inner.ready & gate),
            ]
        with m.If(self.i_table.valid & self.i_table.ready & ~jobs_open):
            m.d.sync += written.eq(written + 1)
        with m.If(self.o_row.valid & self.o_row.ready):
            m.d.sync += started.eq(1)
        return m


@dataclass(frozen=True)
class Job:
    """A job as its port takes it, with its queries (n_queries, D)."""

    head: int
    causal_offset: int
    release: int
    q8: NDArray[np.int8]

    def payload(self) -> dict[str, int]:
        offset = self.causal_offset
        return {"head": self.head, "n_queries": len(self.q8), "causal_offset": offset, "release": self.release}


@dataclass(frozen=True)
class Data:
    """The per-head table, the jobs, and the loaded buffers' numbers of keys."""

    table: list[dict[str, int]]  # entry of head h at index h
    jobs: list[Job]
    n_keys: list[int]


def draw(params: HeadParams, seed: int, jobs: int = 9) -> Data:
    """Random jobs, a third of them without queries, with offsets from below the queries to beyond the keys."""
    rng, config = np.random.default_rng(seed), params.config
    low, high = params.widths.threshold_range
    table = [
        {
            "head": head,
            "threshold": [low, high, int(rng.integers(low, high, endpoint=True))][min(head, 2)],
            "mantissa": int(rng.integers(2**16)),
            "shift": int(rng.integers(2**6)),
        }
        for head in range(config.heads)
    ]
    made = []
    for _ in range(jobs):
        n_queries = int(rng.integers(1, 9)) * int(rng.random() < 0.7)
        q8 = rng.integers(-128, 127, (n_queries, config.head_dim), np.int8, endpoint=True)
        q8[:1] = 127  # beyond the balanced split
        offset = int(rng.integers(-config.max_keys, config.max_keys, endpoint=True))
        made.append(Job(int(rng.integers(config.heads)), offset, int(rng.random() < 0.5), q8))
    made[-1] = Job(made[-1].head, made[-1].causal_offset, 1, made[-1].q8)  # nothing is left over
    buffers = sum(job.release for job in made)
    return Data(table, made, rng.integers(0, config.max_keys, buffers, endpoint=True).tolist())


def ref_sequencer(data: Data, params: HeadParams) -> dict[str, list[Any]]:
    outputs: dict[str, list[Any]] = {name: [] for name in OUTPUTS}
    released = 0
    for job in data.jobs:
        buffer, n_keys = released % params.config.kv_buffers, data.n_keys[released]
        entry = data.table[job.head]
        q_high, q_low = split(np.minimum(job.q8, params.widths.quant_max), params)
        counts = valid_keys(len(job.q8), n_keys, job.causal_offset, params)
        for query, count in enumerate(counts.tolist()):
            row = {"high": q_high[query].tolist()} | ({"low": q_low[query].tolist()} if params.widths.low_bits else {})
            is_last = query == len(job.q8) - 1
            outputs["o_estimator"].append({"high": row["high"], "scan": {"buffer": buffer, "keys": {"count": count}}})
            outputs["o_threshold"].append(entry["threshold"])
            outputs["o_reuse"].append({"row": row, "buffer": buffer})
            outputs["o_scale"].append({name: entry[name] for name in ("mantissa", "shift")})
            outputs["o_row"].append(
                {"buffer": buffer, "empty": 0, "last": int(is_last), "release": int(is_last and job.release)}
            )
        if len(job.q8) == 0:
            outputs["o_row"].append({"buffer": buffer, "empty": 1, "last": 0, "release": job.release})
        released += job.release
    return outputs


def run_sequencer(data: Data, params: HeadParams, flow: str = Flow.FREE, seed: int = 0) -> BlockRun:
    rows = sum(len(job.q8) for job in data.jobs)
    expected = dict.fromkeys(OUTPUTS, rows) | {"o_row": rows + sum(len(job.q8) == 0 for job in data.jobs)}
    inputs: dict[str, list[Any]] = {
        "i_table": data.table,
        "i_job": [job.payload() for job in data.jobs],
        "i_query": [q.tolist() for job in data.jobs for q in job.q8],
        "i_loaded": [{"buffer": i % params.config.kv_buffers, "n_keys": n} for i, n in enumerate(data.n_keys)],
    }
    return run_block(TableFirst(params), inputs, expected, flow=flow, seed=seed)


def rtl_sequencer(data: Data, params: HeadParams, flow: str = Flow.FREE, seed: int = 0) -> dict[str, list[Any]]:
    return run_sequencer(data, params, flow, seed).outputs


@pytest.mark.each_choice
@pytest.mark.parametrize("flow", Flow)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_jobs_of_all_kinds(name, flow):
    params = HeadParams(CONFIGURATIONS[name])
    data = draw(params, seed=1)
    assert rtl_sequencer(data, params, flow, seed=2) == ref_sequencer(data, params)


@pytest.mark.parametrize("seed", range(3, 6))
def test_random_jobs(seed):
    params = HeadParams(TINY)
    data = draw(params, seed, jobs=20)
    assert rtl_sequencer(data, params, Flow.BOTH, seed) == ref_sequencer(data, params)


def one_job(n_queries: int, n_keys: int, causal_offset: int, params: HeadParams) -> list[int]:
    """Valid keys of every query of a job."""
    q8 = np.zeros((n_queries, 8), np.int8)
    data = Data(draw(params, 0, 1).table, [Job(0, causal_offset, 1, q8)], [n_keys])
    return [query["scan"]["keys"]["count"] for query in rtl_sequencer(data, params)["o_estimator"]]


@pytest.mark.parametrize(
    ("n_queries", "n_keys", "causal_offset", "expected"),
    [
        (4, 4, 0, [1, 2, 3, 4]),
        (2, 12, 10, [11, 12]),  # decoding with a cache
        (5, 3, -2, [0, 0, 1, 2, 3]),  # the first queries see nothing
        (3, 12, 12, [12, 12, 12]),  # beyond the keys
        (3, 5, -12, [0, 0, 0]),
        (3, 0, 0, [0, 0, 0]),
        (12, 12, -11, [0] * 11 + [1]),
    ],
)
def test_causal_limits(n_queries, n_keys, causal_offset, expected):
    assert one_job(n_queries, n_keys, causal_offset, HeadParams(TINY)) == expected
    everything = one_job(n_queries, n_keys, causal_offset, HeadParams(TINY.replace(causal=False)))
    assert everything == [n_keys] * n_queries


@pytest.mark.parametrize("release", [0, 1])
def test_a_job_without_queries_only_releases(release):
    params = HeadParams(TINY)
    queries = np.zeros((1, 8), np.int8)
    jobs = [Job(0, 0, release, queries[:0]), Job(0, 0, 1, queries)]
    data = Data(draw(params, 0, 1).table, jobs, [7, 9][: 1 + release])
    outputs = rtl_sequencer(data, params)
    assert [(row["empty"], row["release"], row["buffer"]) for row in outputs["o_row"]] == [
        (1, release, 0),
        (0, 1, release),
    ]
    assert len(outputs["o_estimator"]) == 1


def test_an_entry_may_be_rewritten_once_its_job_has_started():
    params = HeadParams(TINY)
    data = draw(params, 3, 1)
    queries = np.zeros((5, 8), np.int8)
    renewed = {"head": 0, "threshold": 99, "mantissa": 98, "shift": 7}
    jobs = [Job(0, 0, 0, queries), Job(0, 0, 1, queries[:2])]
    outputs = rtl_sequencer(Data([*data.table, renewed], jobs, [12]), params)
    assert outputs["o_threshold"] == [data.table[0]["threshold"]] * 5 + [99] * 2
    assert [scale["shift"] for scale in outputs["o_scale"]] == [data.table[0]["shift"]] * 5 + [7] * 2


def test_one_query_per_cycle_and_one_cycle_more_per_job():
    params = HeadParams(TINY)
    queries = np.zeros((6, 8), np.int8)
    jobs = [Job(0, 0, 0, queries[:n]) for n in (6, 6, 0, 1, 0)] + [Job(0, 0, 1, queries)]
    cycles = run_sequencer(Data(draw(params, 0, 1).table, jobs, [12]), params).cycles
    steps = [after - before for before, after in pairwise(cycles["o_row"])]
    assert steps == [1] * 5 + [2] + [1] * 5 + [2] + [2] + [2] + [2] + [1] * 5
    for name in OUTPUTS[:-1]:
        assert cycles[name] == cycles["i_query"]


def test_with_row_issue_queries_go_every_other_cycle():
    params = HeadParams(CONFIGURATIONS["initiation interval 2"])
    queries = np.zeros((6, 8), np.int8)
    jobs = [Job(0, 0, 0, queries[:n]) for n in (6, 1, 0)] + [Job(0, 0, 1, queries)]
    cycles = run_sequencer(Data(draw(params, 0, 1).table, jobs, [12]), params).cycles
    steps = [after - before for before, after in pairwise(cycles["i_query"])]
    assert steps == [2] * 5 + [2] + [4] + [2] * 5


def test_the_buffer_is_kept_until_a_job_releases_it():
    params = HeadParams(TINY)
    queries = np.zeros((3, 8), np.int8)
    data = Data(draw(params, 0, 1).table, [Job(0, 0, r, queries) for r in (0, 1, 1)], [12, 5])
    cycles = run_sequencer(data, params).cycles
    assert cycles["i_loaded"] == [cycles["i_query"][5] + 1, cycles["i_query"][8] + 1]
    assert cycles["i_job"] == [cycles["i_query"][last] for last in (2, 5, 8)]
