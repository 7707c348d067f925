"""Counting cells, reading timing reports and Yosys's findings, on small recorded pieces."""

import pytest

from latte_hw.config.errors import LatteError
from latte_hw.synth import checks, timing_report
from latte_hw.synth.netlist import count_modules
from latte_hw.synth.targets import TARGETS, target_called

ECP5, XC7 = TARGETS["ecp5-85k"], TARGETS["xc7"]


def stat(**modules: dict[str, int]) -> dict:
    names = {name.replace("__", "."): cells for name, cells in modules.items()}
    return {"modules": {f"\\{name}": {"num_cells_by_type": cells} for name, cells in names.items()}}


def test_own_and_total_with_instances():
    counted = count_modules(
        stat(
            top={"LUT4": 3, "TRELLIS_FF": 10, "top.a": 1},
            top__a={"LUT4": 5, "CCU2C": 2, "PFUMX": 7, "MULT18X18D": 1, "leaf": 3},
            leaf={"TRELLIS_DPR16X4": 2, "TRELLIS_FF": 8, "DP16KD": 1},
        ),
        "top",
        ECP5,
    )
    by_path = {module.path: module for module in counted}
    assert [module.path for module in counted] == ["", "a", "leaf"]
    assert by_path["leaf"].instances == 3
    assert by_path["a"].own.as_dict() == {"lut": 9, "lut_ram": 0, "ff": 0, "dsp": 1, "block_ram": 0}
    assert by_path["a"].total.as_dict() == {"lut": 33, "lut_ram": 24, "ff": 24, "dsp": 1, "block_ram": 3}
    assert by_path[""].total.as_dict() == {"lut": 36, "lut_ram": 24, "ff": 34, "dsp": 1, "block_ram": 3}


@pytest.mark.parametrize(
    ("cells", "lut", "lut_ram", "block_ram"),
    [
        ({"LUT1": 1, "LUT6": 2, "CARRY4": 9, "MUXF7": 4}, 3, 0, 0),
        ({"RAM32M": 1, "RAM32X1D": 1, "SRL16E": 1}, 7, 7, 0),
        ({"RAMB18E1": 3, "RAMB36E1": 1, "FDRE": 2}, 0, 0, 2.5),
    ],
)
def test_xilinx_cells(cells, lut, lut_ram, block_ram):
    (module,) = count_modules(stat(top=cells), "top", XC7)
    total = module.total.as_dict()
    assert (total["lut"], total["lut_ram"], total["block_ram"]) == (lut, lut_ram, block_ram)


def test_an_unknown_cell_is_no_zero():
    with pytest.raises(LatteError, match="module top holds 2 cells NEW_CELL, which ecp5-85k does not count yet"):
        count_modules(stat(top={"NEW_CELL": 2}), "top", ECP5)


def test_an_unknown_target_lists_the_known_ones():
    with pytest.raises(LatteError, match="target must be one of ecp5-85k, xc7, xcup, ice40, generic, not 'virtex'"):
        target_called("virtex")


def part(kind: str, delay: float, source: str, sink: str) -> dict:
    return {"type": kind, "delay": delay, "from": {"cell": source}, "to": {"cell": sink}}


REPORT = {
    "fmax": {"clk": {"achieved": 200.5, "constraint": 400}},
    "utilization": {"TRELLIS_FF": {"used": 7, "available": 10}, "DCCA": {"used": 0, "available": 56}},
    "critical_paths": [
        {"from": "<async>", "to": "posedge clk", "path": [part("routing", 9, "x", "y")]},
        {
            "from": "posedge clk",
            "to": "posedge clk",
            "path": [
                part("clk-to-q", 0.5, "head.filter.q_FF", "head.filter.q_FF"),
                part("routing", 1.0, "head.filter.q_FF", "head.filter.kept.queue.n_LUT4"),
                part("logic", 0.25, "head.filter.kept.queue.n_LUT4", "head.filter.kept.queue.n_LUT4"),
                part("routing", 0.5, "head.filter.kept.queue.n_LUT4", "folded_FF"),
                part("setup", 0.0, "folded_FF", "folded_FF"),
            ],
        },
    ],
}


def test_critical_path_by_module():
    path = timing_report.critical_path(REPORT, ["", "head", "head.filter", "head.filter.kept"])
    assert path is not None
    assert [(step.module, step.delay_ns) for step in path.steps] == [
        ("head.filter", 0.5), ("head.filter.kept", 1.25), ("", 0.5),
    ]  # fmt: skip
    assert (path.begins, path.ends, path.levels) == ("head.filter.q_FF", "folded_FF", 1)
    assert (path.routing_ns, path.logic_ns) == (1.5, 0.75)
    assert timing_report.fmax_mhz(REPORT) == 200.5
    assert timing_report.utilisation(REPORT) == {"TRELLIS_FF": {"used": 7, "available": 10}}


def net(event: str, *ends: tuple[str, float, str]) -> dict:
    endpoints = [{"cell": cell, "delay": [0.1, delay], "event": of} for cell, delay, of in ends]
    return {"event": event, "endpoints": endpoints}


def test_slow_ends_by_module():
    edge = "posedge clk"
    nets = [
        net(edge, ("head.filter.q[0]_FF", 8.6, edge), ("head.filter.q[1]_FF", 10.0, edge), ("head.n_FF", 8.4, edge)),
        net(edge, ("head.filter.q[12]_FF", 3.0, edge), ("folded_FF", 9.0, edge), ("port", 11.0, "<async>")),
        net("<async>", ("head.n_FF", 12.0, edge)),
    ]
    slow = timing_report.slow_ends(REPORT | {"detailed_net_timings": nets}, ["", "head", "head.filter"])
    assert [(ends.module, ends.latest, ends.pins, ends.delay_ns) for ends in slow] == [
        ("head.filter", "head.filter.q[1]_FF", 2, 10.0), ("", "folded_FF", 1, 9.0),
    ]  # fmt: skip
    many = [net(edge, *((f"head.{chr(97 + number)}_FF", 1.0, edge) for number in range(26)))]
    slow = timing_report.slow_ends(REPORT | {"detailed_net_timings": many}, ["head"])
    assert len(slow) == timing_report.MOST_SLOW_ENDS
    assert timing_report.slow_ends(REPORT | {"detailed_net_timings": []}, []) == []


def test_a_name_that_only_begins_alike_is_another_module():
    assert timing_report.module_of("head.filter_2.x", ["head.filter", "head"]) == "head"


def test_a_report_without_a_clock_is_refused():
    with pytest.raises(LatteError, match="holds no frequency"):
        timing_report.fmax_mhz({"fmax": {}})


MEMORIES = r"""
module \top.store
  attribute \src "x.v:1"
  memory width 32 size 1024 \rows
  memory width 8 size 64 \small
end
module \top.dot
  memory width 6 size 32 \table
end
"""


def test_misplaced_memories():
    memories = checks.memories_of(MEMORIES)
    assert memories["top.store.rows"] == checks.MemoryShape(words=1024, width=32)
    good = (
        "mapping memory top.store.rows via $__PDPW16KD_\nmapping memory top.store.small via $__TRELLIS_DPR16X4_\n"
        "mapping memory top.dot.table via $__TRELLIS_DPR16X4_\n"
    )
    assert checks.misplaced(memories, checks.places_of(good), ECP5) == []
    bad = good.replace("PDPW16KD", "TRELLIS_DPR16X4").replace(
        "mapping memory top.store.small via $__TRELLIS_DPR16X4_", "using FF mapping for memory top.store.small"
    )
    assert [(p.where, p.message) for p in checks.misplaced(memories, checks.places_of(bad), ECP5)] == [
        ("top.store.rows", "1024 words of 32 bits became TRELLIS_DPR16X4, not block RAM"),
        ("top.store.small", "64 words of 8 bits became flip-flops, not RAM"),
    ]
