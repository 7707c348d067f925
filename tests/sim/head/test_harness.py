"""The harness with a driver or taker that does wrong: each must be noticed. And that it never waits for ever."""

import dataclasses
from collections.abc import Callable

import pytest

from golden.attention import attention
from golden.files.tensors import TensorFile
from latte_hw.config import LatteConfig
from latte_hw.config.errors import MismatchError
from latte_hw.emit import head as emit
from sim.head import amaranth_bench
from sim.head.collect import Arrays, collect
from sim.head.harness import HeadHarness, Options
from sim.head.traffic import Traffic
from sim.lib.layout import Description
from sim.lib.streams import StreamSink, StreamSource
from sim.simulate import compare

BEAT = 5


class DroppingSource(StreamSource):
    """Leaves out one payload."""

    def push(self, payloads):
        payloads = list(payloads)
        super().push(payloads[:BEAT] + payloads[BEAT + 1 :])


class RepeatingSource(StreamSource):
    """Gives one payload twice and leaves out the next: the number of beats is right."""

    def push(self, payloads):
        payloads = list(payloads)
        super().push([*payloads[: BEAT + 1], payloads[BEAT], *payloads[BEAT + 2 :]])


class ForgettingSink(StreamSink):
    """Does not record one payload that it takes."""

    offered = 0

    def take(self, cycle, payload):
        self.offered += 1
        if self.offered != BEAT:
            super().take(cycle, payload)


class DeafSink(StreamSink):
    """Is never ready."""

    def step(self):
        self.ready = False


def run(config: LatteConfig, tensors: TensorFile, faults: dict[str, type], options: Options | None = None) -> Arrays:
    class Faulty(HeadHarness):
        def make_source(self, name):
            return faults[name](name) if name in faults else super().make_source(name)

        def make_sink(self, name):
            return faults[name](name) if name in faults else super().make_sink(name)

    head = emit.build_head(config, taps=True)
    description, traffic = Description.from_json(emit.describe(head)), Traffic.from_tensors(tensors)
    options = options or Options(patience=500)
    recording = amaranth_bench.run(head, Faulty(description, traffic, options))
    return collect(recording, description, traffic)


def test_no_fault_is_green(tiny: LatteConfig, trace: Callable[..., TensorFile]):
    tensors = trace()
    assert compare(attention(tensors, tiny), run(tiny, tensors, {})) is None


@pytest.mark.parametrize(("stream", "stage"), [("i_q", "estimate"), ("i_k", "estimate"), ("i_v", "out")])
def test_a_wrong_beat_is_red(stream: str, stage: str, tiny: LatteConfig, trace: Callable[..., TensorFile]):
    tensors = trace(n_queries=8, n_keys=8)
    tensors = dataclasses.replace(tensors, tau_int=tensors.tau_int + 2**8)  # every key is kept, so every V row counts
    difference = compare(attention(tensors, tiny), run(tiny, tensors, {stream: RepeatingSource}))
    assert difference is not None
    assert difference.startswith(stage)


@pytest.mark.parametrize("stream", ["i_q", "i_k", "i_v"])
def test_a_dropped_input_beat_is_a_hang_that_is_reported(
    stream: str, tiny: LatteConfig, trace: Callable[..., TensorFile]
):
    with pytest.raises(MismatchError, match=r"nothing has moved for \d+ cycles; .*o_out has delivered \d+ of 12 rows"):
        run(tiny, trace(), {stream: DroppingSource})


def test_an_output_that_nobody_takes_is_reported(tiny: LatteConfig, trace: Callable[..., TensorFile]):
    with pytest.raises(MismatchError, match="o_out has delivered 0 of 12 rows"):
        run(tiny, trace(), {"o_out": DeafSink})


def test_a_lost_output_row_is_reported(tiny: LatteConfig, trace: Callable[..., TensorFile]):
    with pytest.raises(MismatchError, match="delivered 5 of 12 rows"):
        run(tiny, trace(), {"o_out": ForgettingSink})


def test_patience_is_not_a_limit_of_length(tiny: LatteConfig, trace: Callable[..., TensorFile]):
    tensors = trace(heads=4, kv_heads=4)
    got = run(tiny, tensors, {}, Options(patience=1))
    assert got["cycles_total"] > 300
