"""Several multi-head cores, each of a configuration and a name of its own, in one design, all running at once.

    python -m sim.top.together [verilator | icarus | icarus-2012]

emits two, runs a layer on each, and compares both with golden.
"""

import json
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from latte_hw.config.errors import LatteError
from latte_hw.config.top import Reset, TopConfig
from latte_hw.emit import top as emit_top
from latte_hw.host import terminal
from sim.simulators import builds
from sim.top.runner import Part, run_parts

DESIGN = "together"
"""The module that the cores lie in."""

CORES = {
    "left": TopConfig(head_dim=8, max_keys=16, keys_per_cycle=2, causal=True),
    "right": TopConfig(head_dim=12, max_keys=12, keys_per_cycle=3, stream_bits=32, reset=Reset.ARESETN),
}
LAYERS = {
    "left": {"shape": "random", "heads": 4, "kv_heads": 2, "n_queries": 5, "n_keys": 13},
    "right": {"shape": "random", "heads": 3, "kv_heads": 3, "n_queries": 4, "n_keys": 11},
}
"""Arguments of :func:`sim.top.layers.tensors_of`."""

SIMULATORS = {
    "verilator": ("verilator", builds.STANDARD),
    "icarus": ("icarus", "2005"),
    "icarus-2012": ("icarus", "2012"),
}
"""Simulator, and the standard that Icarus takes the Verilog for."""


@lru_cache(maxsize=8)
def emitted(name: str, config: TopConfig) -> tuple[str, str]:
    """Verilog and description of a core under a name, as `latte generate` writes them."""
    with tempfile.TemporaryDirectory(prefix="latte-together-") as folder:
        verilog, description, _ = emit_top.generate(config, Path(folder), name)
        return verilog.read_text(), description.read_text()


def design_of(cores: dict[str, TopConfig]) -> str:
    """Verilog of a design of several cores, by their names.

    Its ports are `clk` and those of each core, the core's name and an underscore before them.
    """
    texts, ports, instances = [], ["  input wire clk"], []
    for name, config in cores.items():
        verilog, description = emitted(name, config)
        texts.append(verilog)
        described = json.loads(description)["ports"]
        for port, shape in described.items():
            if port != "clk":
                bits = f"[{shape['width'] - 1}:0] " if shape["width"] > 1 else ""
                ports.append(f"  {shape['direction']}put wire {bits}{name}_{port}")
        connections = ", ".join(f".{port}({port if port == 'clk' else f'{name}_{port}'})" for port in described)
        instances.append(f"  {name} {name}_core ({connections});\n")
    header = ",\n".join(ports)
    return "\n".join([*texts, f"module {DESIGN} (\n{header}\n);\n{''.join(instances)}endmodule\n"])


def run(cores: dict[str, TopConfig], layers: dict[str, dict[str, Any]], simulator: str) -> dict[str, dict[str, Any]]:
    """A layer on every core at the same time, each equal to golden; what :func:`sim.top.runner.run` gives, by name.

    `simulator` is of :data:`SIMULATORS`.
    """
    if simulator not in SIMULATORS:
        raise LatteError(f"simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")
    program, standard = SIMULATORS[simulator]
    builds.check(program)
    parts = [
        Part(config, "sim.top.layers:layers", {"shapes": [layers[name]]}, idle="0.1", stall="0.1", prefix=f"{name}_")
        for name, config in cores.items()
    ]
    with tempfile.TemporaryDirectory(prefix="latte-together-") as folder:
        verilog = Path(folder) / f"{DESIGN}.v"
        verilog.write_text(design_of(cores))
        summaries = run_parts(verilog, DESIGN, parts, simulator=program, standard=standard, quick=True)
    return dict(zip(cores, summaries, strict=True))


def main(simulator: str = "verilator") -> int:
    """Print what each core has done."""
    for name, summary in run(CORES, LAYERS, simulator).items():
        result = summary["result"]
        kept, seen = (result["counters"][counter] for counter in ("kept", "keys_seen"))
        print(f"{name}: {result['elements']} output elements equal to golden, {kept} of {seen} keys kept")
    return 0


if __name__ == "__main__":
    terminal.run(lambda: main(*sys.argv[1:2]), "sim.top.together")
