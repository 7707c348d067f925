"""One call: a tensor file through the core, in any simulator, as the arrays of the golden model."""

import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from numpy.typing import NDArray

from latte_hw.config import CoreConfig, Datapath, DenseConfig, LatteConfig
from latte_hw.config.errors import LatteError
from latte_hw.config.loading import check_head_core
from sim.head.collect import collect
from sim.head.collect_dense import collect_dense
from sim.head.harness import HeadHarness, Options
from sim.head.traffic import Traffic
from sim.lib.layout import Description
from sim.lib.recording import Recording
from sim.lib.streams import Flow
from sim.simulators import builds, native, runner
from sim.simulators.netlist import netlist_of

if TYPE_CHECKING:
    from golden.files.tensors import TensorFile

NATIVE = "native"
"""Verilator's model driven without cocotb: for bulk comparison. The others judge ports, flow control and stages."""

SIMULATORS = (*builds.SIMULATORS, NATIVE, "amaranth")
_INPUTS = ("q8", "k8", "v8", "scale_q", "scale_k", "scale_v", "tau_int", "softmax_scale")


def simulate(
    tensors: "TensorFile",
    config: CoreConfig,
    *,
    simulator: str = "verilator",
    flow: str = "free",
    seed: int = 0,
    back_to_back: bool = False,
    taps: bool = True,
    netlist: bool = False,
    quick_build: bool = False,
    cycle_limit: int | None = None,
    progress: runner.Progress | None = None,
) -> dict[str, NDArray]:
    """What the core makes of ``tensors``: the names of ``golden.attention`` and those of
    :func:`sim.head.collect.collect`. The dense core has the names of ``golden.dense``.

    ``flow`` says who stalls the streams at random (free, idle, stalled, both), from ``seed``. Jobs follow each other
    with the core drained in between, unless ``back_to_back``: then there is no ``counters``, only ``counters_total``.
    Without ``taps`` the core is the one that `latte generate` writes, and of the stages there is only ``out``.
    ``quick_build`` compiles the native model without optimisation.
    With ``netlist`` the simulator runs what Yosys makes of the Verilog; see :mod:`sim.simulators.netlist`.

    Raises :class:`latte_hw.config.errors.MismatchError` when the core hangs or breaks the protocol, and
    :class:`latte_hw.config.errors.LatteError` on a simulator that is missing or a tool that fails.
    """
    if simulator not in SIMULATORS:
        raise LatteError(f"simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")
    if flow not in list(Flow):
        raise LatteError(f"flow must be one of {', '.join(Flow)}, not {flow!r}")
    if netlist and simulator == "amaranth":
        raise LatteError("a netlist runs in verilator, icarus or native, not in amaranth, which simulates no Verilog")
    check_head_core(config.core, "simulate")
    options = Options(flow=Flow(flow), seed=seed, back_to_back=back_to_back, cycle_limit=cycle_limit)
    traffic = Traffic.from_tensors(tensors)
    if simulator == "amaranth":
        description, recording = _in_amaranth(config, taps, traffic, options, progress)
    else:
        description, recording = _in_verilog(config, taps, traffic, options, simulator, netlist, quick_build, progress)
    collector = collect_dense if config.core.datapath is Datapath.DENSE else collect
    results = collector(recording, description, traffic, back_to_back=back_to_back)
    return {name: getattr(tensors, name) for name in _INPUTS} | results


def expect(tensors: "TensorFile", config: CoreConfig) -> dict[str, NDArray]:
    """What the golden model says that the core makes of ``tensors``."""
    from golden.attention import attention
    from golden.dense import dense_attention

    if isinstance(config, DenseConfig):
        return dense_attention(tensors, config)
    assert isinstance(config, LatteConfig)
    return attention(tensors, config)


def compare(expected: Mapping[str, NDArray], got: Mapping[str, NDArray]) -> str | None:
    """First difference between golden and simulated results, or None. Stages that a run cannot see (no taps, counters
    of a single head back to back) are left out; the counters' totals never are."""
    from golden.analysis.compare import ORDER, first_difference

    visible = {name: array for name, array in expected.items() if name in got or name not in ORDER}
    return first_difference(visible | {"counters_total": expected["counters"].sum(axis=0)}, got)


def _in_amaranth(
    config: CoreConfig,
    taps: bool,
    traffic: Traffic,
    options: Options,
    progress: runner.Progress | None,
) -> tuple[Description, Recording]:
    from latte_hw.emit import head as emit
    from sim.head import amaranth_bench

    head = emit.build_head(config, taps)
    description = Description.from_json(emit.describe(head))
    return description, amaranth_bench.run(head, HeadHarness(description, traffic, options), progress)


def _in_verilog(
    config: CoreConfig,
    taps: bool,
    traffic: Traffic,
    options: Options,
    simulator: str,
    netlist: bool,
    quick_build: bool,
    progress: runner.Progress | None,
) -> tuple[Description, Recording]:
    # A missing simulator is reported before the work, not after.
    if simulator == NATIVE:
        builds.check_native()
    else:
        builds.check(simulator)
    from latte_hw.emit.head import TOPS

    top = TOPS[config.core.datapath]
    core_text, ports = _emitted(config, taps)
    if netlist:
        core_text = netlist_of(core_text, top)
    with tempfile.TemporaryDirectory(prefix="latte-emit-") as name:
        verilog, description = (Path(name) / f"{top}{suffix}" for suffix in (".v", ".json"))
        for path, text in zip((verilog, description), (core_text, ports), strict=True):
            path.write_text(text)
        if simulator == NATIVE:
            recording = native.run(verilog, description, traffic, options, progress=progress, quick_build=quick_build)
        else:
            recording = runner.run(verilog, description, traffic, options, simulator=simulator, progress=progress)
        return Description.load(description), recording


@lru_cache(maxsize=16)
def _emitted(config: CoreConfig, taps: bool) -> tuple[str, str]:
    """Verilog and description. A large core takes seconds to write, and tests run the same one many times."""
    from latte_hw.emit import head as emit

    with tempfile.TemporaryDirectory(prefix="latte-emit-") as folder:
        emitted = emit.generate(config, Path(folder), taps)
        return emitted.verilog.read_text(), emitted.description.read_text()
