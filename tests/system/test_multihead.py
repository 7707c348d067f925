"""The multi-head core against the golden model: layers of every shape, in every flow, one behind the other."""

from itertools import product

import pytest

from latte_hw.config import Split
from latte_hw.config.top import TopConfig
from sim.blocks.layer import Layer, draw_layer
from sim.blocks.multihead_bench import OUTPUT, MultiHeadBench

TINY = TopConfig(head_dim=8, max_keys=16, keys_per_cycle=2, causal=True, cores=2)
CONFIGURATIONS = {
    "one core": TINY.replace(cores=1),
    "two cores": TINY,
    "three cores": TINY.replace(cores=3),
    "all keys": TINY.replace(causal=False, cores=3, stream_bits=32),
    "many rows a beat": TINY.replace(stream_bits=512),
    "rows across beats": TINY.replace(head_dim=12),
    "rows of 20 bytes": TINY.replace(head_dim=20, stream_bits=128, cores=3),
    "two bytes an element": TINY.replace(out_fraction_bits=4, head_dim=12, stream_bits=256),
    "one buffer": TINY.replace(kv_buffers=1),
    "shared scans": TINY.replace(queries_per_scan=3),
    "pairs of kept keys": TINY.replace(kept_per_cycle=2),
    "large": TINY.replace(pipeline="large", kept_per_cycle=2),
    "large, one buffer": TINY.replace(pipeline="large", kv_buffers=1),
    "truncate": TINY.replace(split=Split.TRUNCATE, prob_bits=12),
    "packets of layers": TINY.replace(packets="layer"),
    "packets of layers, many rows a beat": TINY.replace(packets="layer", stream_bits=512, cores=3),
    "packets of layers, rows across beats": TINY.replace(
        packets="layer", head_dim=12, out_fraction_bits=4, cores=3, stream_bits=128
    ),
}


async def play(bench: MultiHeadBench, *layers: Layer, keep: bool = False) -> list[bytes]:
    """Run layers one after the other; their output packets and nothing more."""
    before = len(bench.sink.payloads)
    expected = []
    for layer in layers:
        await layer.write_table(bench)
        layer.send(bench)
        await bench.start(**layer.registers(keep))
        await bench.until_idle()
        expected += layer.expected()
        assert bench.waiting == {}
    await bench.step(5)
    packets = bench.packets()
    assert packets[-len(expected) :] == expected
    assert len(bench.sink.payloads) > before
    return packets


def run_layers(
    config: TopConfig, layers: list[Layer], paces: dict[str, float] | None = None, seed: int = 0
) -> MultiHeadBench:
    bench = MultiHeadBench(config, paces, seed)

    async def script(bench: MultiHeadBench) -> None:
        packets = await play(bench, *layers)
        assert packets == [packet for layer in layers for packet in layer.expected()]
        assert (bench.done, bench.errors) == (len(layers), {})
        counters = bench.counters()
        for name in layers[0].counters():
            assert counters[name] == sum(layer.counters()[name] for layer in layers)
            assert counters[name] == sum(core[name] for core in counters["cores"])
        bench.final = counters

    bench.run(script)
    return bench


IN_THE_SUITE = {"all keys", "rows of 20 bytes", "two bytes an element", "shared scans", "large", "packets of layers"}
"""Each choice of the others is in one of these, or in a test below."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in IN_THE_SUITE else pytest.mark.slow) for name in CONFIGURATIONS]
)
def test_layers_of_every_shape(name: str) -> None:
    config = CONFIGURATIONS[name]
    shapes = [
        {"heads": 4, "group": 2, "n_queries": 5, "n_keys": 9},
        {"heads": 1, "group": 1, "n_queries": 1, "n_keys": 1},
        {"heads": 9, "group": 3, "n_queries": 3, "n_keys": 16},
        {"heads": 5, "group": 1, "n_queries": 16, "n_keys": 7, "causal_offset": 0},
        {"heads": 2, "group": 2, "n_queries": 2, "n_keys": 15, "causal_offset": -1},
    ]
    run_layers(config, [draw_layer(config, seed, **shape) for seed, shape in enumerate(shapes)])


PACES = [1.0, 0.25, 0.1, 0.5, 0.9]


@pytest.mark.parametrize(
    ("into", "out"),
    [pytest.param(*pair, marks=[] if set(pair) == {1.0, 0.1} else pytest.mark.slow) for pair in product(PACES, PACES)],
)
def test_ports_at_every_pace(into: float, out: float) -> None:
    """All inputs at one pace, the output at another; tests/sim/rtl/test_top_layers.py has every pair on the Verilog."""
    paces = {"s_axis_q": into, "s_axis_k": into, "s_axis_v": into, OUTPUT: out}
    layer = draw_layer(TINY, 3, heads=6, group=2, n_queries=4, n_keys=5)
    run_layers(TINY, [layer, layer], paces, seed=1)


@pytest.mark.parametrize("slow", ["s_axis_q", "s_axis_k", "s_axis_v"])
@pytest.mark.parametrize("cores", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_one_slow_port(slow: str, cores: int) -> None:
    config = TINY.replace(cores=cores)
    run_layers(config, [draw_layer(config, 4, heads=8, group=1, n_queries=6)], {slow: 0.1}, seed=2)


def cycles_busy(cores: int, heads: int, group: int = 1, n_queries: int = 16) -> int:
    """Cycles of a layer whose queries take 16 cycles each."""
    config = TopConfig(head_dim=8, max_keys=32, keys_per_cycle=2, cores=cores)
    layer = draw_layer(config, 6, heads=heads, group=group, n_queries=n_queries, n_keys=16, threshold=0)
    bench = run_layers(config, [layer])
    return bench.final["cycles_busy"]


@pytest.mark.parametrize("cores", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_cores_share_the_work(cores: int) -> None:
    """One head more per core costs no more than one head more of a single core, within 5 %."""
    alone = cycles_busy(1, 4) - cycles_busy(1, 2)
    in_parallel = cycles_busy(cores, 4 * cores) - cycles_busy(cores, 2 * cores)
    assert alone >= 2 * 16 * 16
    assert in_parallel <= alone / 0.95


@pytest.mark.slow
def test_a_whole_layer_on_two_cores() -> None:
    """The same with beginning and end of the layer, which are worth a row's way and a head's queries."""
    assert cycles_busy(1, 8, n_queries=32) >= 0.95 * 2 * cycles_busy(2, 8, n_queries=32)


@pytest.mark.slow
def test_cores_share_groups_that_fit_their_queues() -> None:
    """Grouped queries, too, while those of a K/V head fit a core's queue."""
    alone = cycles_busy(1, 12, 3, n_queries=10) - cycles_busy(1, 6, 3, n_queries=10)
    in_parallel = cycles_busy(2, 24, 3, n_queries=10) - cycles_busy(2, 12, 3, n_queries=10)
    assert in_parallel <= alone / 0.95


def test_loading_is_hidden_behind_computing() -> None:
    """Two K/V buffers leave only the first load to wait for; a single one shows that the counter sees it."""
    layer = draw_layer(TINY, 7, heads=8, group=1, n_queries=16, n_keys=16)
    two = run_layers(TINY, [layer]).final
    one = run_layers(TINY.replace(kv_buffers=1), [layer]).final
    first_load = 16 + 20
    assert 0 < two["stalled_input"] <= first_load
    assert one["stalled_input"] >= 2 * two["stalled_input"]
    assert one["cycles_busy"] >= two["cycles_busy"] + one["stalled_input"] - two["stalled_input"]


@pytest.mark.parametrize(("slow", "counter"), [("s_axis_v", "stalled_input"), (OUTPUT, "stalled_output")])
def test_ports_that_stall_the_core_are_counted(slow: str, counter: str) -> None:
    layer = draw_layer(TINY, 7, heads=4, group=1)
    counters = run_layers(TINY, [layer], {slow: 0.05}).final
    assert counters[counter] >= 0.4 * counters["cycles_busy"]
    free = run_layers(TINY, [layer]).final
    assert free["stalled_output"] == 0
