"""The per-head table behind the register file: what software wrote is what a layer gets, whole, whenever it wrote."""

from random import Random

import pytest

from latte_hw.config import LatteConfig, Rule
from latte_hw.params import HeadParams
from latte_hw.system.csr.register_file import RegisterFile
from latte_hw.system.csr.table import register_map
from sim.blocks.register_bench import RegisterBench
from sim.lib.streams import Flow

CONFIG = LatteConfig(head_dim=8, max_keys=24, keys_per_cycle=4)


def make(entries: int, flow: str = Flow.FREE, seed: int = 0, config: LatteConfig = CONFIG, **options) -> RegisterBench:
    registers = register_map(config, cores=1, stream_bits=32, entries=entries)
    return RegisterBench(RegisterFile(HeadParams(config), registers), flow, seed, **options)


class Software:
    """Writes words of entries at random and knows what the table must hold."""

    def __init__(self, bench: RegisterBench, entries: int, rng: Random) -> None:
        self.bench = bench
        self.rng = rng
        self.entries = dict.fromkeys(range(entries), (0, 0, 0))

    async def write(self) -> None:
        entry = self.rng.randrange(len(self.entries))
        threshold, mantissa, shift = self.entries[entry]
        if self.rng.random() < 0.5:
            threshold = self.rng.randint(*self.bench.view.placed("head_table[0].threshold").register.fields[0].range)
            await self.bench.put(f"head_table[{entry}].threshold", threshold=threshold)
        else:
            mantissa, shift = self.rng.randrange(2**16), self.rng.randrange(2**6)
            await self.bench.put(f"head_table[{entry}].scale", mantissa=mantissa, shift=shift)
        self.entries[entry] = threshold, mantissa, shift

    async def check(self) -> None:
        for entry, (threshold, mantissa, shift) in self.entries.items():
            assert await self.bench.get(f"head_table[{entry}].threshold") == {"threshold": threshold}
            assert await self.bench.get(f"head_table[{entry}].scale") == {"mantissa": mantissa, "shift": shift}


@pytest.mark.parametrize("run_cycles", [1, 40])
@pytest.mark.parametrize("entries", [1, 2, 5])
def test_each_layer_sees_the_table_of_its_start(entries, run_cycles):
    """Writes go on between and during layers. The cores' stand-in also fails when the bank in use changes."""
    rng = Random(f"{entries}/{run_cycles}")

    async def scenario(bench: RegisterBench) -> None:
        software, expected = Software(bench, entries, rng), []
        for _ in range(6):
            for _ in range(rng.randrange(6)):
                await software.write()
            await bench.until_idle()
            await bench.put("control", start=1)
            expected.append(dict(software.entries))
            for _ in range(rng.randrange(4)):
                await software.write()  # at once behind START, and later
        await software.check()
        await bench.until_idle()
        assert bench.cores.layers == expected
        assert not any((await bench.get("errors")).values())

    make(entries, Flow.FREE, run_cycles=run_cycles).run(scenario)


@pytest.mark.parametrize("seed", range(4))
def test_the_same_with_every_channel_stalled(seed):
    rng = Random(seed)

    async def scenario(bench: RegisterBench) -> None:
        software = Software(bench, 7, rng)
        for _ in range(6):
            for _ in range(rng.randrange(5)):
                await software.write()
            await bench.until_idle()
            await bench.put("control", start=1)
            expected = dict(software.entries)
            await software.write()
            await bench.until_idle()
            assert bench.cores.layers[-1] == expected
            await software.check()

    make(7, Flow.BOTH, seed, run_cycles=5).run(scenario)


@pytest.mark.parametrize("check_cycles", [1, 2, 9])
def test_a_refused_start_leaves_the_table_as_software_wrote_it(check_cycles):
    """Every second START is refused; entries are written one at a time, so that a bank swapped too often shows."""
    rng = Random(check_cycles)

    async def scenario(bench: RegisterBench) -> None:
        software, expected = Software(bench, 5, rng), []
        for start in range(10):
            await software.write()
            await bench.until_idle()
            await bench.put("control", start=1)
            if start % 2 == 0:
                expected.append(dict(software.entries))
            await software.write()  # while the START is checked, too
        await bench.until_idle()
        await software.check()
        assert bench.cores.layers == expected
        assert (await bench.get("errors"))["length_zero"]

    make(5, run_cycles=20, check_cycles=check_cycles, refuses=lambda start: start % 2 == 1).run(scenario)


def test_a_static_threshold_is_signed():
    async def scenario(bench: RegisterBench) -> None:
        await bench.put("head_table[0].threshold", threshold=-3)
        assert await bench.get("head_table[0].threshold") == {"threshold": -3}
        await bench.put("control", start=1)
        await bench.until_idle()
        assert bench.cores.layers[0][0] == (-3, 0, 0)

    make(1, config=CONFIG.replace(rule=Rule.STATIC)).run(scenario)


@pytest.mark.parametrize("entries", [16, 40])
def test_start_waits_for_the_idle_bank(entries):
    """Writing all entries again takes 2 cycles each; a START meanwhile counts as busy and comes right behind."""

    async def scenario(bench: RegisterBench) -> None:
        await bench.step(2 * entries + 10)
        await bench.put("control", start=1)
        while len(bench.cores.commands) < 1:
            await bench.step()
        await bench.step(4)  # the layer of 1 cycle is over
        await bench.put("control", start=1)
        assert len(bench.cores.commands) == 1
        assert (await bench.get("status"))["busy"]
        await bench.until_idle()
        (first, *_), (second, *_) = bench.cores.commands
        swapped = first + 1  # checked for a cycle
        assert second - swapped == 2 * entries + 1

    make(entries, run_cycles=1).run(scenario)


@pytest.mark.parametrize("entry", [0, 7, 39])
def test_what_is_written_behind_a_waiting_start_is_for_the_next_layer(entry):
    async def scenario(bench: RegisterBench) -> None:
        for layer in range(3):
            await bench.put("control", start=1)
            await bench.put(f"head_table[{entry}].threshold", threshold=layer + 1)
            await bench.until_idle()
        assert [seen[entry] for seen in bench.cores.layers] == [(threshold, 0, 0) for threshold in range(3)]

    make(40, run_cycles=1).run(scenario)


@pytest.mark.parametrize("seed", range(6))
def test_soft_reset_at_any_moment_leaves_the_table_and_nothing_else(seed):
    rng = Random(seed)

    async def scenario(bench: RegisterBench) -> None:
        software = Software(bench, 5, rng)
        resets = {
            placed.path: placed.register.reset for placed in bench.view.map.placed() if placed.block != "head_table"
        }
        for _ in range(5):
            for _ in range(rng.randrange(4)):
                await software.write()
            await bench.put("irq_enable", done=1, error=1)
            await bench.put("layer_heads", heads=rng.randrange(9))
            await bench.put("causal_offset", offset=-1)
            await bench.put("control", start=rng.randrange(2), keep=rng.randrange(2), snapshot=1)
            await bench.put("layer_heads", heads=rng.randrange(9))
            await software.write()
            await bench.step(rng.randrange(40))
            await bench.put("control", soft_reset=1, start=rng.randrange(2), keep=1, snapshot=1)
            await bench.step(rng.randrange(3))
            for path, word in resets.items():
                assert (await bench.raw_read(bench.view.address(path))).data == word, path
            assert bench.cores.commands[-1][1] == "soft_reset"
            await bench.put("control", start=1)  # the idle bank is complete, even if its writing was cut short
            expected = dict(software.entries)
            await bench.until_idle()
            assert bench.cores.layers[-1] == expected
            await software.check()

    make(5, Flow.BOTH if seed % 2 else Flow.FREE, seed, run_cycles=25, totals=lambda cycle, *_: cycle).run(scenario)
