"""What a component's docstring lists under Members is what its signature has, for every component of `latte_hw`."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable

import pytest
from amaranth.hdl import signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

import latte_hw
from latte_hw.config import DenseConfig, DotChoice, LatteConfig
from latte_hw.config.top import Reset, TopConfig
from latte_hw.core.accumulator import Accumulator
from latte_hw.core.dense.blocks import DenseBlocks
from latte_hw.core.dense.head import DenseHead
from latte_hw.core.dense.scores import DenseScores
from latte_hw.core.dense.softmax import DenseSoftmax
from latte_hw.core.dense.weighted_sum import DenseWeightedSum
from latte_hw.core.dispatcher import Dispatcher, InOrderCollector
from latte_hw.core.divider import Divider
from latte_hw.core.estimator import MS4BEstimator
from latte_hw.core.head import LatteHead
from latte_hw.core.kv_store import KvStore
from latte_hw.core.reuse_datapath import ReuseDatapath
from latte_hw.core.sequencer import Sequencer
from latte_hw.core.softmax import Softmax
from latte_hw.core.threshold_filter import HeadThresholdFilter
from latte_hw.core.weighted_sum import WeightedSum
from latte_hw.lib.axi.lite import LiteAdapter
from latte_hw.lib.axi.rows import RowPacker, RowUnpacker
from latte_hw.lib.axi.stream import Gearbox
from latte_hw.lib.dot.base import StationaryDot
from latte_hw.lib.dot.build import DistributedArithmetic, MultiplierDot, Term
from latte_hw.lib.register_slices import SkidBuffer
from latte_hw.lib.streams import CreditFifo, Fifo, StreamRegister
from latte_hw.params import HeadParams, table_shape
from latte_hw.params.dense import DenseParams
from latte_hw.synth.harness import Harness
from latte_hw.system.control import LayerControl
from latte_hw.system.counters import LayerCounters
from latte_hw.system.csr.head_table import HeadTable
from latte_hw.system.csr.register_file import RegisterFile, core_side
from latte_hw.system.csr.registers import Registers
from latte_hw.system.csr.table import top_registers
from latte_hw.system.multihead import MultiHead
from latte_hw.system.schedule import CoreSchedule, PacketTurns
from latte_hw.system.top import LatteTop

CONFIG = LatteConfig(head_dim=8, max_keys=32, keys_per_cycle=2, causal=True, heads=4)
PARAMS, PAIRS, LANES = (
    HeadParams(config) for config in (CONFIG, CONFIG.replace(kept_per_cycle=2), CONFIG.replace(queries_per_scan=2))
)
DENSE = DenseConfig.of(CONFIG.replace(queries_per_scan=2))
DENSE_PARAMS = DenseParams.of(DENSE)
TOP = TopConfig(head_dim=8, max_keys=32, keys_per_cycle=2, causal=True, heads=4, cores=2, reset=Reset.ARESETN)
REGISTERS, TOP_PARAMS = top_registers(TOP), HeadParams(TOP)
TAG = data.StructLayout({"last": 1})
DOT = {
    "head_dim": 8, "queries": {"q": signed(4)}, "keys": {"k": signed(4)}, "terms": {"qk": Term("q", "k")}, "lanes": 2,
    "tag_shape": 1,
}  # fmt: skip

INSTANCES: dict[type[wiring.Component], tuple[Callable[[], wiring.Component], ...]] = {
    # lib
    StreamRegister: (lambda: StreamRegister(8),),
    SkidBuffer: (lambda: SkidBuffer(8),),
    Fifo: (lambda: Fifo(8, 4),),
    CreditFifo: (lambda: CreditFifo(8, 4),),
    StationaryDot: (lambda: StationaryDot(**DOT),),
    MultiplierDot: (lambda: MultiplierDot(**DOT),),
    DistributedArithmetic: (lambda: DistributedArithmetic(tables=table_shape(DotChoice()), **DOT),),
    LiteAdapter: (lambda: LiteAdapter(8),),
    RowUnpacker: (lambda: RowUnpacker(64, 32, 4, lambda byte: byte[7]),),
    RowPacker: (lambda: RowPacker(64, 32),),
    Gearbox: (lambda: Gearbox(3, 4),),
    # core
    LatteHead: (lambda: LatteHead(LANES.config, taps=True, managed=True), lambda: LatteHead(CONFIG)),
    Sequencer: (lambda: Sequencer(PARAMS),),
    Dispatcher: (lambda: Dispatcher(LANES),),
    InOrderCollector: (lambda: InOrderCollector(LANES),),
    MS4BEstimator: (lambda: MS4BEstimator(PARAMS), lambda: MS4BEstimator(LANES)),
    HeadThresholdFilter: (lambda: HeadThresholdFilter(PARAMS), lambda: HeadThresholdFilter(PAIRS)),
    ReuseDatapath: (lambda: ReuseDatapath(PARAMS), lambda: ReuseDatapath(PAIRS)),
    Softmax: (lambda: Softmax(PARAMS),),
    WeightedSum: (lambda: WeightedSum(PARAMS), lambda: WeightedSum(PAIRS)),
    Accumulator: (lambda: Accumulator(PARAMS, TAG), lambda: Accumulator(PAIRS, TAG)),
    Divider: (lambda: Divider(PARAMS, TAG),),
    KvStore: (lambda: KvStore(PARAMS), lambda: KvStore(PARAMS, banks=False, readers=2, appends=True)),
    DenseHead: (lambda: DenseHead(DENSE, taps=True), lambda: DenseHead(DENSE)),
    DenseBlocks: (lambda: DenseBlocks(DENSE_PARAMS),),
    DenseScores: (lambda: DenseScores(DENSE_PARAMS),),
    DenseSoftmax: (lambda: DenseSoftmax(DENSE_PARAMS),),
    DenseWeightedSum: (lambda: DenseWeightedSum(DENSE_PARAMS),),
    # system
    LatteTop: (lambda: LatteTop(TOP), lambda: LatteTop(TOP.replace(reset=Reset.RST))),
    MultiHead: (lambda: MultiHead(TOP),),
    LayerControl: (lambda: LayerControl(TOP),),
    LayerCounters: (lambda: LayerCounters(TOP),),
    PacketTurns: (lambda: PacketTurns(TOP),),
    CoreSchedule: (lambda: CoreSchedule(TOP, 0),),
    RegisterFile: (lambda: RegisterFile(TOP_PARAMS, REGISTERS),),
    Registers: (lambda: Registers(TOP_PARAMS, REGISTERS, core_side(TOP_PARAMS, REGISTERS)),),
    HeadTable: (lambda: HeadTable(TOP_PARAMS, 4),),
    # synth
    Harness: (lambda: Harness(Fifo(8, 4), "queue"),),
}
"""A component to instances that have all of its members between them. One that is not here fails."""


def components() -> set[type[wiring.Component]]:
    """Every component that a module of the package defines."""
    found = set()
    for module in pkgutil.walk_packages(latte_hw.__path__, "latte_hw."):
        if not module.name.endswith("__main__"):
            members = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
            found |= {one for _, one in members if issubclass(one, wiring.Component) and _is_ours(one)}
    return found


def _is_ours(component: type) -> bool:
    return component.__module__.startswith("latte_hw.")


def documented(component: type[wiring.Component]) -> set[str]:
    """Names under Members, in the docstring of the component or of the nearest base that has that section.

    Names begin their lines, with commas between them; what is said of them is indented. The section ends with the first
    line behind an empty one that is not indented.
    """
    for base in filter(_is_ours, component.__mro__):
        section = re.search(r"^Members\n-------\n(.*?)(?:\n\n(?=\S)|\Z)", inspect.getdoc(base) or "", re.M | re.S)
        if section and "__doc__" in vars(base):
            names = [line for line in section[1].splitlines() if line and not line.startswith(" ")]
            return _unnumbered(name for line in names for name in line.split(", "))
    return set()


def _unnumbered(names: Iterable[str]) -> set[str]:
    """`key_port_0` is documented as `key_port`."""
    return {re.sub(r"_\d+$", "", name) for name in names}


@pytest.mark.parametrize("component", sorted(components(), key=lambda one: one.__name__), ids=lambda one: one.__name__)
def test_members_are_those_of_the_signature(component: type[wiring.Component]) -> None:
    assert component in INSTANCES, "give INSTANCES one"
    instances = [make() for make in INSTANCES[component]]
    for instance in instances:  # looked at, not elaborated: Amaranth would warn of that
        for one in (instance, *vars(instance).values()):
            if isinstance(one, wiring.Component):
                vars(one)["_MustUse__used"] = True
    members = {name for instance in instances for name in instance.signature.members}
    assert documented(component) == _unnumbered(members)


def test_every_instance_is_of_a_component() -> None:
    assert set(INSTANCES) == components()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (
            "Adds.\n\nMembers\n-------\ni, j\n    Both, i\n    and j.\n\n    More.\no_0\n    Sum.\n\nLatency: 1.",
            "ijo",
        ),
        ("Adds.\n\nMembers\n-------\ni\n    One.", "i"),
        ("Adds i and j.", ""),
    ],
)
def test_names_are_found(text: str, names: str) -> None:
    class Adder(wiring.Component):
        __doc__ = text
        __module__ = "latte_hw.adder"
        i: In(1)
        o: Out(1)

    assert documented(Adder) == set(names)
