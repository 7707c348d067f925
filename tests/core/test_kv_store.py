"""The K/V store: what is read back after every load, and when a load may start."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from golden.blocks.arith import split
from golden.blocks.kv_store import banks
from golden.blocks.quantize import saturate
from latte_hw.config import LatteConfig
from latte_hw.core.kv_store import KvStore
from latte_hw.core.payloads import Payloads
from latte_hw.lib.streams import Valid, delayed
from latte_hw.params import HeadParams
from sim.blocks.block_bench import BlockRun, run_block
from sim.lib.streams import Flow

TINY = {"head_dim": 8, "max_keys": 12, "keys_per_cycle": 4}
CONFIGURATIONS = {
    "two buffers": LatteConfig(**TINY),
    "one buffer": LatteConfig(**TINY, kv_buffers=1),
    "three keys per cycle": LatteConfig(**{**TINY, "keys_per_cycle": 3}),
    "register slices before many banks": LatteConfig(**{**TINY, "max_keys": 24, "keys_per_cycle": 12}),
    "one key per cycle": LatteConfig(**{**TINY, "keys_per_cycle": 1}),
    "single beat": LatteConfig(**{**TINY, "max_keys": 4}),
    "power of two": LatteConfig(**{**TINY, "max_keys": 16}),  # a row too many would come to lie on the first
    "truncate": LatteConfig(**TINY, split="truncate"),
    "no low part": LatteConfig(**TINY, msb_bits=8),
    "large": LatteConfig(**TINY, pipeline="large"),
}
LOADS = [5, 12, 0, 18, 1, 0, 0, 12]
"""Keys of each load; 18 are more than fit."""


class ReadBack(wiring.Component):
    """Reads a loaded buffer through all ports, one address per cycle, then releases it.

    With its last address, which waits for a token of `i_release` and for `o_loaded`.
    """

    def __init__(self, params: HeadParams) -> None:
        self.params = params
        payloads = Payloads(params)
        super().__init__(
            {
                "i_load": In(stream.Signature(payloads.load)),
                "i_k": In(stream.Signature(payloads.element_row)),
                "i_v": In(stream.Signature(payloads.element_row)),
                "i_release": In(stream.Signature(1)),
                "o_loaded": Out(stream.Signature(payloads.loaded)),
                "o_beat": Out(Valid(payloads.high_beat)),
                "o_key": Out(Valid(payloads.split_row)),
                "o_value": Out(Valid(payloads.element_row)),
            }
        )

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        m.submodules.store = store = KvStore(self.params)
        for name in ("i_load", "i_k", "i_v"):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(store, name))
        address = Signal(range(self.params.config.max_keys + 1))
        is_last = address == self.params.config.max_keys - 1
        finished = store.o_loaded.valid & is_last & self.i_release.valid & self.o_loaded.ready
        reads = store.o_loaded.valid & (~is_last | finished)
        with m.If(reads):
            m.d.sync += address.eq(address + 1)
        with m.If(finished):
            m.d.sync += address.eq(0)
        m.d.comb += [
            self.o_loaded.valid.eq(store.o_loaded.valid & is_last & self.i_release.valid),
            self.o_loaded.payload.eq(store.o_loaded.payload),
            store.o_loaded.ready.eq(finished),
            self.i_release.ready.eq(finished),
            store.i_free.eq(delayed(m, finished, self.params.division.last_group, "finished")),
        ]
        for port, output, count in (
            (store.beat_port, self.o_beat, self.params.widths.max_beats),
            (store.key_port, self.o_key, self.params.config.max_keys),
            (store.value_port, self.o_value, self.params.config.max_keys),
        ):
            row, latency = port.response.payload, self.params.latency.store
            if port is store.value_port:
                row, latency = self._aligned(m, row), latency + self.params.division.last_group
            m.d.comb += [
                port.request.valid.eq(reads & (address < count)),
                port.request.payload.buffer.eq(store.o_loaded.payload.buffer),
                port.request.payload.address.eq(address),
                Value.cast(output.payload).eq(row),
                output.valid.eq(delayed(m, port.response.valid, latency - self.params.latency.store, "reads")),
            ]
        return m

    def _aligned(self, m: Module, value: Any) -> Value:
        """A value whose groups of elements came one after the other, in one piece."""
        lanes, groups = self.params.division.lanes, self.params.division.cycles
        parts = []
        for group in range(groups):
            part = Value.cast(value)[group * lanes * 8 : (group + 1) * lanes * 8]
            parts.append(delayed(m, part, (groups - 1 - group) * self.params.division.stagger, f"group_{group}"))
        return Cat(*parts)


@dataclass(frozen=True)
class Data:
    """Rows of K and V of every load, shape (n_keys, head_dim)."""

    k: list[NDArray[np.int8]]
    v: list[NDArray[np.int8]]


def draw(params: HeadParams, loads: list[int], seed: int) -> Data:
    rng = np.random.default_rng(seed)
    k, v = ([rng.integers(-128, 128, (n, params.config.head_dim), np.int8) for n in loads] for _ in range(2))
    return Data(k, v)


def ref_kv_store(data: Data, params: HeadParams) -> list[dict[str, Any]]:
    """What a reader finds of every load: its number of keys, banks, rows of K and of V."""
    contents = []
    for k, v in zip(data.k, data.v, strict=True):
        k, v = (x[: params.config.max_keys] for x in (k, v))
        k, _ = saturate(k, params)
        high, low = split(k, params)
        rows = [
            {"high": h.tolist()} | ({"low": w.tolist()} if params.widths.low_bits else {})
            for h, w in zip(high, low, strict=True)
        ]
        contents.append({"n_keys": len(k), "banks": banks(high, params).tolist(), "k": rows, "v": v.tolist()})
    return contents


def run_store(data: Data, params: HeadParams, flow: str = Flow.FREE, seed: int = 0) -> BlockRun:
    config, loads = params.config, len(data.k)
    inputs = {
        "i_load": [{"n_keys": len(k)} for k in data.k],
        "i_k": np.concatenate(data.k).tolist(),
        "i_v": np.concatenate(data.v).tolist(),
        "i_release": [0] * loads,
    }
    expected = {
        "o_loaded": loads,
        "o_beat": loads * params.widths.max_beats,
        "o_key": loads * config.max_keys,
        "o_value": loads * config.max_keys,
    }
    return run_block(ReadBack(params), inputs, expected, flow=flow, seed=seed)


def rtl_kv_store(data: Data, params: HeadParams, flow: str = Flow.FREE, seed: int = 0) -> list[dict[str, Any]]:
    outputs = run_store(data, params, flow, seed).outputs
    contents, size = [], params.config.max_keys
    for index, loaded in enumerate(outputs["o_loaded"]):
        assert loaded["buffer"] == index % params.config.kv_buffers
        n_keys = loaded["n_keys"]
        beats = outputs["o_beat"][index * params.widths.max_beats :][: -(-n_keys // params.config.keys_per_cycle)]
        lanes = [[beat[lane] for beat in beats] for lane in range(params.config.keys_per_cycle)]
        for key in range(n_keys, len(beats) * len(lanes)):  # what is left of the last beat is the store's own affair
            lanes[key % len(lanes)][-1] = [0] * params.config.head_dim
        rows = {name: outputs[port][index * size :][:n_keys] for name, port in (("k", "o_key"), ("v", "o_value"))}
        contents.append({"n_keys": n_keys, "banks": lanes, **rows})
    return contents


@pytest.mark.each_choice
@pytest.mark.parametrize("flow", Flow)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_load_is_read_back(name, flow):
    params = HeadParams(CONFIGURATIONS[name])
    loads = [min(n, 2**params.widths.count_bits - 1) for n in LOADS]
    data = draw(params, loads, seed=1)
    assert rtl_kv_store(data, params, flow, seed=2) == ref_kv_store(data, params)


def test_elements_of_k_above_the_limit_are_saturated_and_those_of_v_are_not():
    params = HeadParams(CONFIGURATIONS["two buffers"])
    k = np.full((1, 8), 127, np.int8)
    (content,) = rtl_kv_store(Data([k], [k]), params)
    assert content["v"] == [[127] * 8]
    assert content["k"] == [{"high": [7] * 8, "low": [7] * 8}]
    k = np.full((1, 8), -128, np.int8)
    (content,) = rtl_kv_store(Data([k], [k]), params)
    assert content["v"] == [[-128] * 8]


def test_one_row_of_k_and_of_v_per_cycle():
    params = HeadParams(CONFIGURATIONS["two buffers"])
    cycles = run_store(draw(params, [12, 12], seed=3), params).cycles
    for name in ("i_k", "i_v"):
        assert {after - before for before, after in pairwise(cycles[name][:12])} == {1}
        assert {after - before for before, after in pairwise(cycles[name][12:])} == {1}


def test_loading_overlaps_reading_and_the_third_load_waits():
    params = HeadParams(CONFIGURATIONS["two buffers"])
    cycles = run_store(draw(params, [12, 10, 12], seed=4), params).cycles
    first_freed = cycles["o_loaded"][0]
    assert cycles["i_k"][21] < first_freed
    assert cycles["i_load"][2] == first_freed + params.division.last_group + 1


def test_a_single_buffer_is_loaded_once_it_is_free():
    params = HeadParams(CONFIGURATIONS["one buffer"])
    cycles = run_store(draw(params, [12, 12], seed=5), params).cycles
    assert cycles["i_load"][1] == cycles["o_loaded"][0] + params.division.last_group + 1


@pytest.mark.parametrize(("name", "buffers"), [("one buffer", 1), ("two buffers", 2)])
def test_without_release_only_the_buffers_are_loaded(name, buffers):
    params = HeadParams(CONFIGURATIONS[name])
    data = draw(params, [3] * 4, seed=6)
    inputs = {
        "i_load": [{"n_keys": 3}] * 4,
        "i_k": np.concatenate(data.k).tolist(),
        "i_v": np.concatenate(data.v).tolist(),
    }
    left = 12 - 3 * buffers
    with pytest.raises(
        AssertionError, match=f"i_load has {4 - buffers} left; i_k has {left} left; i_v has {left} left"
    ):
        run_block(ReadBack(params), inputs, {}, cycle_limit=150)


def test_rows_are_not_taken_before_their_load():
    params = HeadParams(CONFIGURATIONS["two buffers"])
    data = draw(params, [3], seed=7)
    with pytest.raises(AssertionError, match="i_k has 3 left"):
        run_block(ReadBack(params), {"i_k": data.k[0].tolist()}, {}, cycle_limit=50)
