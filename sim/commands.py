"""`latte simulate`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latte_hw.cli.field_help import example, fields_and_example
from latte_hw.cli.options import (
    ConfigOption,
    CoreOption,
    JsonOption,
    LayerOption,
    PresetOption,
    SetOption,
    ThresholdsOption,
)
from latte_hw.config import Core
from latte_hw.config.errors import MismatchError
from latte_hw.config.loading import check_head_core

if TYPE_CHECKING:
    from golden.files.tensors import TensorFile
    from latte_hw.config import CoreConfig


def register(app: typer.Typer) -> None:
    app.command(
        epilog=fields_and_example("latte simulate traces/smollm2-135m.npz --preset smollm2-135m -o build/rtl.npz")
    )(simulate)
    app.command(epilog=example("latte env"))(env)


def simulate(
    tensors: Annotated[Path, typer.Argument(metavar="IN.npz", help="Tensor file: q, k, v and tau or tau_int.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT.npz", help="What the Verilog produced, every stage.")
    ],
    thresholds: ThresholdsOption = None,
    layer: LayerOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    core: CoreOption = Core.LATTE,
    simulator: Annotated[
        str,
        typer.Option(
            "--simulator", metavar="NAME", help="verilator or icarus (cocotb), native (Verilator, fast), or amaranth."
        ),
    ] = "verilator",
    flow: Annotated[
        str,
        typer.Option(
            "--flow", metavar="FLOW", help="Random idle cycles and back-pressure: free (none), idle, stalled or both."
        ),
    ] = "free",
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of --flow.")] = 0,
    back_to_back: Annotated[
        bool, typer.Option("--back-to-back", help="Issue heads without a pause; counters are then totals only.")
    ] = False,
    netlist: Annotated[
        bool, typer.Option("--netlist", help="Run the netlist that Yosys makes of the Verilog for AMD 7 series.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the Verilog on a tensor file and compare every stage with the golden model.

    OUT.npz is written also when they differ; then the first difference is reported and the exit code is 1. The compiled
    simulation is kept in the folder that LATTE_BUILD names, or in ~/.cache/latte-hw; `latte doctor` shows which.
    """
    from golden.files.inputs import load_inputs
    from golden.files.npz import check_output_folder, save_npz
    from sim.simulate import compare, expect

    check_head_core(core, "latte simulate")
    check_output_folder(output)
    loaded, chosen = load_inputs(tensors, thresholds, layer, preset, config, settings, core)
    got = _simulate(loaded, chosen, simulator, flow, seed, back_to_back, netlist, quiet=as_json)
    save_npz(output, got)
    difference = compare(expect(loaded, chosen), got)
    heads, queries, keys = got["score"].shape
    summary = {
        "equal": difference is None,
        "difference": difference,
        "core": core.value,
        "simulator": simulator,
        "netlist": netlist,
        "flow": flow,
        "seed": seed,
        "heads": heads,
        "queries": queries,
        "keys": keys,
        "pairs": heads * queries * keys,
        "cycles": [int(cycles) for cycles in got["cycles"]],
        "cycles_total": int(got["cycles_total"]),
        "counters": dict(zip(got["counter_names"].tolist(), got["counters_total"].tolist(), strict=True)),
        "config_sha256": chosen.sha256(),
    }
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    if difference is not None:
        raise MismatchError(f"{simulator} and the golden model differ: {difference}")
    if not as_json:
        what = f"{simulator}, netlist" if netlist else simulator
        typer.echo(
            f"{what}: {heads} heads x {queries} queries x {keys} keys equal the golden model at every stage "
            f"({summary['pairs']:,} pairs, {summary['cycles_total']:,} cycles); written to {output}"
        )


def _simulate(
    tensors: "TensorFile",
    config: "CoreConfig",
    simulator: str,
    flow: str,
    seed: int,
    back_to_back: bool,
    netlist: bool,
    *,
    quiet: bool,
) -> dict:
    """The simulation under a progress bar, on standard error of a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    from sim.simulate import simulate as run

    rows = tensors.q8.shape[0] * tensors.q8.shape[1]
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(f"simulating ({simulator})", total=rows)
        return run(
            tensors,
            config,
            simulator=simulator,
            flow=flow,
            seed=seed,
            back_to_back=back_to_back,
            netlist=netlist,
            progress=lambda done: bar.update(task, completed=done),
        )


def env() -> None:
    """Print what puts Verilator on PATH: that of the Python package, set up for this machine.

    For a POSIX shell: eval "$(latte env)".
    """
    from sim.simulators.verilator_folder import exports

    typer.echo("\n".join(exports()))
