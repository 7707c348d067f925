"""The register file over AXI4-Lite: storage, commands, refusals, sticky bits, interrupts, snapshot, soft reset."""

from random import Random

import pytest

from latte_hw.config import LatteConfig
from latte_hw.emit.head import component_to_verilog
from latte_hw.params import HeadParams
from latte_hw.system.csr.model import Access
from latte_hw.system.csr.register_file import RegisterFile
from latte_hw.system.csr.table import register_map
from sim.blocks.register_bench import RegisterBench
from sim.lib.axi_lite import OKAY, SLVERR
from sim.lib.streams import Flow
from sim.simulators import runner, yosys_check

CONFIG = LatteConfig(head_dim=8, max_keys=24, keys_per_cycle=4, causal=True, out_fraction_bits=3, queries_per_scan=2)
LAYER = {"heads": 6, "group": 2, "n_queries": 5, "n_keys": 17}


def make(flow: str = Flow.FREE, seed: int = 0, cores: int = 2, entries: int = 6, **options) -> RegisterBench:
    registers = register_map(CONFIG, cores=cores, stream_bits=64, entries=entries)
    return RegisterBench(RegisterFile(HeadParams(CONFIG), registers), flow, seed, **options)


async def write_layer(bench: RegisterBench, code: int = OKAY) -> None:
    await bench.put("layer_heads", code, heads=LAYER["heads"], group_size=LAYER["group"])
    await bench.put("layer_lengths", code, n_queries=LAYER["n_queries"], n_keys=LAYER["n_keys"])


@pytest.mark.parametrize("flow", [Flow.FREE, Flow.BOTH])
def test_every_address_answers_as_the_table_says(flow):
    """Reads all 2048 words: reset values where there is a register, SLVERR and 0 everywhere else."""

    async def scenario(bench: RegisterBench) -> None:
        registers = bench.view.map
        expected = {placed.address: placed.register.reset for placed in registers.placed()}
        for address in range(0, 1 << registers.address_bits, 4):
            response = await bench.raw_read(address)
            assert (response.code, response.data) == (OKAY if address in expected else SLVERR, expected.get(address, 0))

    make(flow).run(scenario)


def test_identity():
    async def scenario(bench: RegisterBench) -> None:
        assert (await bench.raw_read(0)).data.to_bytes(4, "big") == b"LATT"
        digits = [(await bench.get(f"config_hash_{word}"))["hash"] for word in (0, 1)]
        assert f"{digits[0]:08x}{digits[1]:08x}" == CONFIG.sha256()[:16]
        assert await bench.get("version") == {"major": 0, "minor": 1, "patch": 0}
        assert await bench.get("capabilities_0") == {"head_dim": 8, "max_keys": 24}
        assert await bench.get("capabilities_1") == {
            "cores": 2, "out_bytes": 2, "causal": 1, "layer_packets": 0, "stream_words": 2, "queries_per_scan": 2,
            "table_entries": 6,
        }  # fmt: skip
        assert await bench.get("capabilities_2") == {
            "element_max": 119, "low_bits": 4, "exponent_fraction_bits": 10, "out_fraction_bits": 3, "static_rule": 0,
        }  # fmt: skip

    make().run(scenario)


@pytest.mark.parametrize("flow", [Flow.FREE, Flow.BOTH])
def test_what_is_written_is_read_and_nothing_else_changes(flow):
    rng = Random(flow)

    async def scenario(bench: RegisterBench) -> None:
        registers = bench.view.map
        placed = list(registers.placed())
        stores = (Access.CONFIG, Access.LEVEL, Access.RAM)
        words = {}
        for register in placed:
            is_storage = all(field.access in stores for field in register.register.fields)
            code = OKAY if register.register.writable else SLVERR
            data = rng.getrandbits(32) if is_storage or code else 0  # no command, nothing cleared
            assert await bench.raw_write(register.address, data) == code
            kept = sum(field.mask << field.lsb for field in register.register.fields)
            words[register.address] = data & kept if is_storage else register.register.reset
        for address, word in words.items():
            assert (await bench.raw_read(address)).data == word, hex(address)

    make(flow).run(scenario)


@pytest.mark.parametrize("path", ["layer_heads", "causal_offset", "irq_enable", "head_table[1].threshold", "control"])
def test_partial_and_unaligned_writes_change_nothing(path):
    async def scenario(bench: RegisterBench) -> None:
        address = bench.view.address(path)
        before = await bench.get(path)
        for strobes in range(15):
            assert await bench.raw_write(address, 0xFFFF_FFFF, strobes) == SLVERR
        for shift in (1, 2, 3):
            assert await bench.raw_write(address + shift, 0xFFFF_FFFF) == SLVERR
            assert (await bench.raw_read(address + shift)).code == SLVERR
        assert await bench.get(path) == before
        assert not bench.cores.commands

    make().run(scenario)


def test_start_is_one_pulse_with_its_layer():
    async def scenario(bench: RegisterBench) -> None:
        await write_layer(bench)
        await bench.put("causal_offset", offset=-12)
        await bench.put("control", start=1, keep=1)
        assert await bench.get("status") == {"busy": 1, "idle": 0, "done": 0}
        await bench.until_idle()
        assert await bench.get("status") == {"busy": 0, "idle": 1, "done": 1}
        assert await bench.get("control") == {"start": 0, "append": 0, "keep": 1, "soft_reset": 0, "snapshot": 0}
        await bench.put("control", append=1, keep=1)
        assert (await bench.get("status"))["done"] == 0
        await bench.until_idle()
        await bench.put("control", start=1, append=1)
        await bench.until_idle()
        seen = [(name, layer) for _, name, layer in bench.cores.commands]
        layer = LAYER | {"causal_offset": -12}
        assert seen == [("start", layer | {"keep": 1}), ("append", layer | {"keep": 1}), ("start", layer | {"keep": 0})]
        assert await bench.get("errors") == dict.fromkeys(await bench.get("errors"), 0)

    make().run(scenario)


def test_busy_has_no_gap_between_the_command_and_the_layer():
    """Polled in every possible cycle after START: done comes before idle is seen."""

    async def scenario(bench: RegisterBench) -> None:
        await bench.step(40)
        for wait in range(12):
            await bench.put("control", start=1)
            await bench.step(wait)
            while not (status := await bench.get("status"))["idle"]:
                assert not status["done"]
            assert status["done"]

    make().run(scenario)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("layer_heads", {"heads": 3, "group_size": 1}),
        ("layer_heads", {"heads": LAYER["heads"], "group_size": LAYER["group"]}),  # even if it would change nothing
        ("layer_lengths", {"n_queries": 1, "n_keys": 1}),
        ("causal_offset", {"offset": 3}),
        ("control", {"keep": 1}),
        ("control", {"start": 1}),
        ("control", {"append": 1}),
        ("control", {"start": 1, "append": 1, "keep": 1}),
    ],
)
def test_configuration_and_commands_are_refused_while_busy(path, values):
    async def scenario(bench: RegisterBench) -> None:
        await write_layer(bench)
        before = await bench.get(path)
        await bench.put("control", start=1)
        await bench.put(path, **values)
        errors = await bench.get("errors")
        assert [name for name, value in errors.items() if value] == ["busy_write"]
        assert (await bench.get("irq_status"))["error"]
        assert (await bench.get("status"))["busy"]
        await bench.until_idle()
        assert await bench.get(path) == before
        assert len(bench.cores.commands) == 1

    make(run_cycles=100).run(scenario)


def test_snapshot_interrupts_and_table_may_be_written_while_busy():
    async def scenario(bench: RegisterBench) -> None:
        await bench.put("control", start=1, keep=1)
        await bench.put("control", snapshot=1, keep=1)
        await bench.put("irq_enable", done=1)
        await bench.put("head_table[2].threshold", threshold=9)
        await bench.put("irq_status", done=1)
        assert (await bench.get("status"))["busy"]
        assert not any((await bench.get("errors")).values())

    make(run_cycles=200).run(scenario)


def test_every_error_is_sticky_alone_and_cleared_alone():
    raised: set[str] = set()

    async def scenario(bench: RegisterBench) -> None:
        names = list(await bench.get("errors"))
        for name in names:
            raised.add(name)
            await bench.step()
            raised.clear()
            assert await bench.get("errors") == {other: int(other == name) for other in names}
            await bench.put("errors", **{other: int(other != name) for other in names})
            assert (await bench.get("errors"))[name] == 1
            assert (await bench.get("irq_status"))["error"] == 1
            await bench.put("irq_status", error=1)
            await bench.put("errors", **{name: 1})
            assert not any((await bench.get("errors")).values())
            assert (await bench.get("irq_status"))["error"] == 0
        assert len(names) == 14

    make(events=lambda _cycle: raised).run(scenario)


async def cleared_at(bench: RegisterBench, path: str, field: str, at: list[int], early: int) -> int:
    """The bit after a write that clears it, with an event `early` cycles before the register is written.

    That is 2 cycles before the response is there.
    """
    now = bench.manager.cycle
    response_in = 4  # cycles from here, the manager's address going out at once
    at[:] = [now + response_in - 2 - early]
    await bench.put(path, **{field: 1})
    assert bench.manager.cycles("b")[-1] == now + response_in
    await bench.step(3)
    return (await bench.get(path))[field]


@pytest.mark.parametrize("was_set", [False, True])
def test_no_event_is_lost_in_the_cycle_of_its_clearing(was_set):
    """Every sticky bit of both registers that have some, whether it was set before or not. An event a cycle earlier is
    cleared with it. What a write itself raises, `busy_write`, comes in a write of another register, and alone."""
    registers = register_map(CONFIG, cores=2, stream_bits=64, entries=6)
    sticky = [
        (register.name, field.name)
        for register in registers.registers
        for field in register.fields
        if field.access is Access.STICKY
    ]
    assert len(sticky) == 14 + 2
    at: list[int] = []
    event = "q_short"

    async def scenario(bench: RegisterBench) -> None:
        nonlocal event
        await bench.step()  # ready follows reset by a cycle
        for path, field in sticky:
            event = field if path == "errors" or field == "done" else "q_short"
            for early in range(-1, 2):
                if was_set:
                    at[:] = [bench.manager.cycle]
                    await bench.step()
                    assert (await bench.get(path))[field]
                assert await cleared_at(bench, path, field, at, early) == int(early <= 0), (path, field, early)

    make(events=lambda cycle: {event} if cycle in at else set()).run(scenario)


@pytest.mark.parametrize("cause", ["done", "error"])
def test_irq_is_high_while_an_enabled_cause_is_set(cause):
    raised: set[str] = set()

    async def scenario(bench: RegisterBench) -> None:
        async def irq_now() -> int:
            await bench.step(2)
            return bench.cores.irq[-1]

        raised.add("v_hole")
        await bench.put("control", start=1)
        await bench.until_idle()
        raised.clear()
        assert await bench.get("irq_status") == {"done": 1, "error": 1}
        assert await irq_now() == 0
        await bench.put("irq_enable", **{cause: 1})
        assert await irq_now() == 1
        await bench.put("irq_status", **{cause: 1})
        assert await irq_now() == 0
        await bench.put("irq_enable", done=1, error=1)
        assert await irq_now() == 1

    make(events=lambda _cycle: raised).run(scenario)


@pytest.mark.parametrize("cores", [1, 3])
def test_a_snapshot_holds_all_counters_of_one_cycle(cores):
    names = ["cycles_busy", "stalled_input", "stalled_output", "queries", "keys_seen", "survivors", "kept"]

    def total(cycle: int, core: int, name: str) -> int:
        return (0xFFFF_FF00 + cycle) * (10 * (core + 2) + names.index(name)) % 2**64

    async def scenario(bench: RegisterBench) -> None:
        await bench.step(7)
        paths = {name: (-1, name) for name in names}
        paths |= {f"core[{core}].{name}": (core, name) for core in range(cores) for name in names[3:]}
        for _ in range(2):
            await bench.put("control", snapshot=1)
            taken_in = bench.manager.cycles("b")[-1] - 1
            for path, (core, name) in paths.items():
                halves = [(await bench.get(f"{path}_{half}"))["count"] for half in ("lo", "hi")]
                assert halves[0] + (halves[1] << 32) == total(taken_in, core, name), path
            await bench.step(300)

    make(cores=cores, totals=total).run(scenario)


AXI4_LITE = """
awaddr awprot awvalid awready wdata wstrb wvalid wready bresp bvalid bready
araddr arprot arvalid arready rdata rresp rvalid rready
"""


@pytest.mark.parametrize("cores", [1, 4])
def test_the_verilog_is_clean_and_its_ports_have_the_usual_names(cores, tmp_path):
    file = RegisterFile(HeadParams(CONFIG), register_map(CONFIG, cores=cores, stream_bits=64, entries=64))
    path = tmp_path / "register_file.v"
    path.write_text(component_to_verilog(file, "register_file", {}))
    assert runner.lint(path) == ""
    assert yosys_check.check(path, "register_file") == ""
    ports = {"_".join(map(str, path)) for path, _, _ in file.signature.flatten(file)}
    assert {port for port in ports if port.startswith("s_axil")} == {f"s_axil_{name}" for name in AXI4_LITE.split()}
