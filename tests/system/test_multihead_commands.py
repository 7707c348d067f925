"""Commands to the multi-head core: decoding, refusals, banks of the table, packets that are wrong, soft reset."""

import random
from dataclasses import replace

import numpy as np
import pytest

from golden.blocks.quantize import saturate
from latte_hw.config.top import TopConfig
from latte_hw.system.events import PACKET_ERRORS
from latte_hw.system.latency import LayerTiming
from sim.blocks.layer import SCALE, Layer, draw_layer, draw_rows
from sim.blocks.multihead_bench import MultiHeadBench
from sim.lib.axi_stream import Beat

TINY = TopConfig(head_dim=8, max_keys=16, keys_per_cycle=2, causal=True, cores=2)


async def play(bench: MultiHeadBench, layer: Layer, keep: bool = False, write: bool = True) -> None:
    """Run a layer; its output must be golden's."""
    if write:
        await layer.write_table(bench)
    layer.send(bench)
    await bench.start(**layer.registers(keep))
    await bench.until_idle()
    check(bench, layer)


def check(bench: MultiHeadBench, layer: Layer) -> None:
    """The last packets are the layer's, and nothing is left over."""
    expected = layer.expected()
    assert bench.packets()[-len(expected) :] == expected
    assert bench.waiting == {}


async def decode(bench: MultiHeadBench, layer: Layer, seed: int, keep: int = 1) -> Layer:
    """One more token."""
    rng = np.random.default_rng(seed)
    heads = {"q": len(layer.q8), "k": len(layer.k8), "v": len(layer.k8)}
    q8, k8, v8 = (draw_rows(layer.config, rng, number, 1, name) for name, number in heads.items())
    step = layer.grown(q8, k8, v8)
    replace(step, k8=k8, v8=v8).send(bench)
    before = len(bench.packets())
    await bench.append(keep)
    await bench.until_idle()
    check(bench, step)
    assert len(bench.packets()) == before + len(q8)
    return step


# --- decoding -------------------------------------------------------------------------------------------------------

DECODING = {
    "two cores": TINY,
    "one buffer": TINY.replace(kv_buffers=1),
    "all keys": TINY.replace(causal=False, head_dim=12),
    "three keys per cycle": TINY.replace(keys_per_cycle=3, max_keys=18),
    "shared scans": TINY.replace(queries_per_scan=2),
    "pairs of kept keys": TINY.replace(kept_per_cycle=2, kv_buffers=1),
}


SLOW = {"all keys", "three keys per cycle", "two cores"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in DECODING]
)
def test_tokens_are_appended_up_to_the_last_row(name: str) -> None:
    config = DECODING[name]

    async def script(bench: MultiHeadBench) -> None:
        for n_keys in (3, config.max_keys - 2):  # a new layer releases what the one before has kept
            layer = draw_layer(config, n_keys, heads=4, group=2, n_queries=2, n_keys=n_keys)
            await play(bench, layer, keep=True)
            while layer.k8.shape[1] < config.max_keys:
                layer = await decode(bench, layer, layer.k8.shape[1])
            assert bench.errors == {}
            await bench.append()
            assert (bench.errors.pop("length_too_large"), bench.busy) == (1, False)
        await play(bench, draw_layer(config, 9))
        assert bench.errors == {}

    MultiHeadBench(config, {"s_axis_v": 0.5, "s_axis_q": 0.5, "m_axis_o": 0.5}).run(script)


def test_the_last_token_may_release_what_was_kept() -> None:
    async def script(bench: MultiHeadBench) -> None:
        layer = draw_layer(TINY, 1, heads=2, group=2)
        await play(bench, layer, keep=True)
        layer = await decode(bench, layer, 2)
        await bench.start(**layer.registers() | {"n_keys": 0})  # refused: what was kept stays
        await bench.until_idle()
        assert bench.errors.pop("length_zero") == 1
        await decode(bench, layer, 3, keep=0)
        await bench.append()
        assert bench.errors == {"length_zero": 1}
        for seed in range(3):  # every buffer is free again
            await play(bench, draw_layer(TINY, seed, heads=8, group=1))

    MultiHeadBench(TINY).run(script)


@pytest.mark.parametrize("kept_per_cycle", [1, 2])
def test_a_token_takes_as_many_cycles_as_documented(kept_per_cycle: int) -> None:
    """The bound on decoding, closely, for the first tokens; tests/sim/rtl/test_top_decode.py has 256 of them."""
    config = TINY.replace(cores=1, kept_per_cycle=kept_per_cycle)
    taken = []

    async def script(bench: MultiHeadBench) -> None:
        layer = draw_layer(config, 4, heads=1, group=1, n_queries=1, n_keys=1)
        await play(bench, layer, keep=True)
        decode_cycles = LayerTiming(config).decode_cycles
        while layer.k8.shape[1] < config.max_keys:
            begun = bench.cycle
            layer = await decode(bench, layer, layer.k8.shape[1])
            taken.append(bench.cycle - begun)
            counts = layer.counters()
            bound = decode_cycles(1, layer.k8.shape[1], [counts["kept"]], [counts["survivors"]])
            assert bound - CLOSE <= taken[-1] <= bound

    MultiHeadBench(config).run(script)
    assert len(taken) == 15


CLOSE = 30
"""Cycles by which the bound may be too cautious."""


# --- commands -------------------------------------------------------------------------------------------------------

REFUSED = {
    "no head": ({"heads": 0}, "length_zero"),
    "no group": ({"group": 0}, "length_zero"),
    "no query": ({"n_queries": 0}, "length_zero"),
    "no key": ({"n_keys": 0}, "length_zero"),
    "too many heads": ({"heads": 66}, "length_too_large"),
    "too many queries": ({"n_queries": 17}, "length_too_large"),
    "too many keys": ({"n_keys": 17}, "length_too_large"),
    "far too many keys": ({"n_keys": 65535}, "length_too_large"),
    "a group that does not divide": ({"group": 3}, "length_too_large"),
    "a group of more than all heads": ({"group": 8}, "length_too_large"),
    "keys kept of too many heads": ({"heads": 6, "keep": 1}, "length_too_large"),
}


def test_layers_that_do_not_fit_are_refused_and_nothing_is_taken() -> None:
    layer = draw_layer(TINY, 5)

    async def script(bench: MultiHeadBench) -> None:
        await layer.write_table(bench)
        layer.send(bench)
        await bench.step(2)
        before = bench.waiting
        for name, (change, error) in REFUSED.items():
            await bench.start(**layer.registers() | change)
            await bench.until_idle(100)
            await bench.step(5)
            assert bench.errors == {error: 1}, name
            bench.errors.clear()
        await bench.append()
        assert bench.errors.pop("length_zero") == 1
        assert (bench.done, bench.waiting, bench.sink.payloads) == (0, before, [])
        await bench.start(**layer.registers())
        await bench.until_idle()
        check(bench, layer)
        assert (bench.done, bench.errors) == (1, {})

    MultiHeadBench(TINY).run(script)


def test_commands_while_busy_are_refused_and_change_nothing() -> None:
    layer = draw_layer(TINY, 6)

    async def script(bench: MultiHeadBench) -> None:
        await layer.write_table(bench)
        layer.send(bench)
        await bench.start(**layer.registers())
        for command in range(5):
            await bench.step(10)
            if command % 2:
                await bench.append()
            else:
                await bench.start(heads=1, group=1, n_queries=1, n_keys=1, causal_offset=0, keep=1)
        await bench.until_idle()
        check(bench, layer)
        assert (bench.errors, bench.done) == ({"busy_write": 5}, 1)

    MultiHeadBench(TINY).run(script)


def test_the_next_layer_is_written_while_this_one_runs() -> None:
    """The table is swapped as a whole by START, and stays when nothing was written."""
    first, second = draw_layer(TINY, 7), draw_layer(TINY, 8, threshold=1)
    again = replace(first, thresholds=second.thresholds)
    assert again.expected() != first.expected()

    async def script(bench: MultiHeadBench) -> None:
        await first.write_table(bench)
        first.send(bench)
        await bench.start(**first.registers())
        await second.write_table(bench)
        await bench.until_idle()
        check(bench, first)
        await play(bench, second, write=False)
        await play(bench, again, write=False)

    MultiHeadBench(TINY, {"m_axis_o": 0.3}).run(script)


@pytest.mark.parametrize("wrong", [{"heads": 0}, {"heads": 5}, {"group": 3}])
def test_a_refused_start_leaves_the_banks_of_the_table_as_they_are(wrong: dict[str, int]) -> None:
    """An entry that is written behind the refused START joins those written before it."""
    first, second = draw_layer(TINY, 7), draw_layer(TINY, 8, threshold=1)

    async def script(bench: MultiHeadBench) -> None:
        await play(bench, first)
        await second.write_table(bench)
        await bench.start(**second.registers() | wrong)
        await bench.until_idle()
        assert sum(bench.errors.values()) == 1
        await bench.write_table(0, second.thresholds[0], *SCALE)
        await play(bench, second, write=False)

    MultiHeadBench(TINY).run(script)


@pytest.mark.parametrize("offset", [-32768, -17, -16, 15, 16, 17, 32767])
def test_causal_offsets_of_any_size(offset: int) -> None:
    async def script(bench: MultiHeadBench) -> None:
        await play(bench, draw_layer(TINY, 10, heads=2, causal_offset=offset))

    MultiHeadBench(TINY).run(script)


# --- packets that are wrong -------------------------------------------------------------------------------------------


def spoil(beats: list[Beat], kind: str) -> list[Beat]:
    """The first of several packets is cut to one beat, or two beats longer, or has a hole in its first beat."""
    end = next(i for i, beat in enumerate(beats) if beat["last"])
    if kind == "short":
        return [beats[0] | {"last": 1}, *beats[end + 1 :]]
    if kind == "long":
        return [*beats[:end], beats[end] | {"last": 0}, beats[0], beats[1] | {"last": 1}, *beats[end + 1 :]]
    return [beats[0] | {"keep": 0b10111111}, *beats[1:]]


ONE_OF_A_KIND = {"q_short", "k_long", "v_hole"}
"""tests/sim/rtl/test_top_faults.py has all of them on the Verilog."""


@pytest.mark.parametrize(
    "error", [pytest.param(name, marks=[] if name in ONE_OF_A_KIND else pytest.mark.slow) for name in PACKET_ERRORS]
)
def test_a_bad_packet_is_reported_and_the_next_layer_is_right(error: str) -> None:
    name, kind = error.split("_")
    layer = draw_layer(TINY, 11)

    async def script(bench: MultiHeadBench) -> None:
        meant = layer
        if kind == "short":  # rows but the first are missing and read as 0
            rows = getattr(layer, f"{name}8").copy()
            rows[0, 1:] = 0
            meant = replace(layer, **{f"{name}8": rows})
        await layer.write_table(bench)
        for stream in "qkv":
            beats = layer.beats(getattr(layer, f"{stream}8"))
            bench.send(f"s_axis_{stream}", spoil(beats, kind) if stream == name else beats)
        await bench.start(**layer.registers())
        await bench.until_idle()
        check(bench, meant)
        assert bench.errors == {error: 1}
        bench.errors.clear()
        await play(bench, layer)
        assert bench.errors == {}

    MultiHeadBench(TINY).run(script)


# --- elements out of range --------------------------------------------------------------------------------------------

RANGES = {
    "odd rows": TINY.replace(head_dim=12, cores=1, stream_bits=32),
    "two lanes": TINY.replace(kept_per_cycle=2, stream_bits=256),
    "three bits": TINY.replace(msb_bits=3, cores=1),
    "truncate": TINY.replace(split="truncate", cores=1),
    "exact estimate": TINY.replace(msb_bits=8, cores=1),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name != "odd rows" else []) for name in RANGES]
)
def test_an_element_above_the_split_is_reported_and_saturated(name: str) -> None:
    """Of each stream in turn the last element is one above its limit, or 127; then a layer at the limits, and an
    appended row of which every element is 127."""
    config = RANGES[name]
    layer = draw_layer(config, 21, heads=2, group=2, n_queries=2, n_keys=5)
    quant_max = layer.params.widths.quant_max
    limits = {"q8": -128, "k8": quant_max, "v8": 127}

    async def script(bench: MultiHeadBench) -> None:
        await layer.write_table(bench)
        for stream in "qkv":
            rows = getattr(layer, f"{stream}8").copy()
            rows[-1, -1, -1] = min(layer.params.widths.greatest(stream) + 1, 127)
            taken, beyond = saturate(rows, layer.params) if stream != "v" else (rows, False)
            assert beyond == (quant_max < 127 and stream != "v")
            replace(layer, **{f"{stream}8": rows}).send(bench)
            await bench.start(**layer.registers())
            await bench.until_idle()
            check(bench, replace(layer, **{f"{stream}8": taken}))
            assert bench.errors == ({f"{stream}_range": 1} if beyond else {})
            bench.errors.clear()
        at_limits = {part: np.full_like(getattr(layer, part), limit) for part, limit in limits.items()}
        await play(bench, replace(layer, **at_limits))
        await play(bench, layer, keep=True)
        assert bench.errors == {}
        q8, k8, v8 = (np.full((heads, 1, config.head_dim), 127, np.int8) for heads in (2, 1, 1))
        replace(layer, q8=q8, k8=k8, v8=v8).send(bench)
        await bench.append()
        await bench.until_idle()
        check(bench, layer.grown(*(saturate(x, layer.params)[0] for x in (q8, k8)), v8))
        assert set(bench.errors) == ({"q_range", "k_range"} if quant_max < 127 else set())

    MultiHeadBench(config, {"s_axis_q": 0.7, "s_axis_k": 0.7}).run(script)


def test_every_value_of_v_comes_out() -> None:
    """A query that keeps one key gives its value: all 256 of them."""
    keys, dim = TINY.max_keys, 16
    config = TINY.replace(head_dim=dim, causal=False, cores=1)
    k8 = np.zeros((1, keys, dim), np.int8)
    k8[0, np.arange(keys), np.arange(keys)] = 112  # one high part of its own each
    v8 = np.arange(-128, 128).reshape(1, keys, dim).astype(np.int8)
    layer = Layer(config, k8, k8, v8, (0,), 0)
    assert layer.result(0).out.tolist() == v8[0].tolist()

    async def script(bench: MultiHeadBench) -> None:
        await play(bench, layer)
        assert bench.errors == {}

    MultiHeadBench(config).run(script)


# --- soft reset -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cores", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_soft_reset_at_any_moment_leaves_a_clean_core(cores: int) -> None:
    """Also while a packet, a load, or a step of decoding is in flight, and with K and V kept."""
    config = TINY.replace(cores=cores)
    rng = random.Random(cores)

    async def script(bench: MultiHeadBench) -> None:
        for seed in range(12):
            layer = draw_layer(config, seed, heads=4 if cores > 1 else 2)
            await layer.write_table(bench)
            layer.send(bench)
            await bench.start(**layer.registers(keep=seed % 2 == 1))
            await bench.step(rng.randrange(300))
            if seed % 2 and not bench.busy:
                await bench.append()
                await bench.step(rng.randrange(60))
            await bench.soft_reset()
            bench.errors.clear()
            assert not bench.busy
            assert sum(value for value in bench.counters().values() if isinstance(value, int)) == 0
            await play(bench, draw_layer(config, 50 + seed, heads=2))
            assert bench.errors == {}

    MultiHeadBench(config, {"s_axis_k": 0.7, "m_axis_o": 0.7}).run(script)
