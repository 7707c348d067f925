"""One synthesis from configuration to figures, in numbered, timed steps."""

import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from latte_hw import __version__
from latte_hw.config import CoreConfig
from latte_hw.config.errors import LatteError
from latte_hw.params.dense import params_of
from latte_hw.synth import checks, script, timing_report, tools
from latte_hw.synth.designs import build
from latte_hw.synth.harness import TOP, to_verilog
from latte_hw.synth.netlist import ModuleCount, count_modules
from latte_hw.synth.register_packing import pack_file
from latte_hw.synth.targets import Target
from latte_hw.synth.trimming import trim_file

SCHEMA = "latte-synth-1"
VERILOG_FILE = f"{TOP}.v"
PACKED_FILE = "packed.json"
PLACERS, ROUTERS = ("heap", "static"), ("router1", "router2")
"""Of nextpnr, its defaults first. On chips more than half full `static` left 2 to 20 % shorter wires."""

TARGET_MHZ = 400  # out of reach, so that the placer works on every path that is slow


@dataclass(frozen=True)
class Job:
    """What to synthesise and how."""

    name: str  # of the preset, or of the configuration file
    config: CoreConfig
    target: Target
    block: str = "head"
    dsp: bool = True
    products: int | None = None  # of bytes, that may go to DSP blocks at most; None: all
    trim: bool = False  # before place and route
    seeds: tuple[int, ...] = ()  # place and route with each; none: resources only
    placer: str = PLACERS[0]
    router: str = ROUTERS[0]
    speed: int = 8

    @property
    def chained_adders(self) -> bool:
        """Whether additions follow one another without a register in between."""
        params = params_of(self.config)
        tables = [dot.tables for dot in (params.scan_dot, params.reuse_dot)]
        return any(one.steps_per_cycle > 1 for one in tables if one)

    def check(self) -> None:
        """Raises :class:`LatteError` on what cannot be done, before anything runs."""
        if self.seeds and not self.target.device:
            raise LatteError(f"place and route works for the target ecp5-85k, not for {self.target.name}")
        if self.trim and not self.seeds:
            raise LatteError("--trim prepares a netlist for place and route: give --place-and-route, too")
        if len(set(self.seeds)) != len(self.seeds):
            raise LatteError("--seeds must name different seeds")
        for option, chosen, known in (("placer", self.placer, PLACERS), ("router", self.router, ROUTERS)):
            if chosen not in known:
                raise LatteError(f"--{option} must be {' or '.join(known)}, not {chosen}")
        if self.speed not in (6, 7, 8):
            raise LatteError(f"--speed must be 6, 7 or 8, not {self.speed}")
        if self.products is not None and (self.products < 1 or not self.dsp or not self.target.dsp):
            fitting = "at least 1, without --no-dsp and for a target with DSP blocks"
            raise LatteError(f"--dsp-products must be {fitting}, not {self.products}")


class Steps:
    """Numbers and times the steps; ``say`` gets half a line when a step starts, the rest when it is done."""

    def __init__(self, count: int, say: Callable[[str], None]) -> None:
        self.count, self.say = count, say
        self.seconds: dict[str, float] = {}

    def run(self, title: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        self.say(f"{len(self.seconds) + 1}/{self.count} {title}")
        try:
            result = work()
        except BaseException:
            self.say("\n")
            raise
        self.seconds[title] = round(time.perf_counter() - started, 1)
        self.say(f"  {self.seconds[title]:.1f} s\n")
        return result


def synthesise(job: Job, command: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Run the job; everything that is known afterwards as plain values, as `synth.json` holds it.

    Raises :class:`LatteError` when a tool is missing or fails.
    """
    job.check()
    for program in (tools.YOSYS, *([tools.NEXTPNR_ECP5] if job.seeds else [])):
        tools.command_of(program)
    subject = build(job.block, job.config)  # last: a component that is never elaborated makes Amaranth warn
    steps = Steps(3 + (2 + job.trim + len(job.seeds) if job.seeds else 0), say)
    with tempfile.TemporaryDirectory(prefix="latte-synth-") as name:
        folder = Path(name)
        verilog = steps.run("emit Verilog", lambda: to_verilog(subject, job.block))
        (folder / VERILOG_FILE).write_text(verilog)
        versions = steps.run("ask the tools for their versions", lambda: _versions(job))
        modules, problems = steps.run(
            "synthesise with the hierarchy kept, check and count", lambda: _count(job, folder)
        )
        routed = _place_and_route(job, folder, steps, modules) if job.seeds else None
    wrapper, inside = modules[0], modules[1:]
    return {
        "schema": SCHEMA,
        "name": job.name,
        "core": job.config.core.value,
        "block": job.block,
        "config": job.config.model_dump(mode="json"),
        "config_sha256": job.config.sha256(),
        "target": {
            "name": job.target.name, "title": job.target.title, "block_ram_unit": job.target.block_ram_unit,
            "yosys": job.target.command, "dsp": job.dsp,
            "dsp_products": job.products,
        },
        "command": command,
        "versions": versions,
        "seconds": steps.seconds,
        "total": inside[0].total.as_dict(),
        "wrapper": wrapper.own.as_dict(),
        "modules": [module.as_dict() for module in inside],
        "problems": [asdict(problem) for problem in problems],
        "place_and_route": routed,
    }  # fmt: skip


def _versions(job: Job) -> dict[str, str]:
    versions = {"latte-hw": __version__, "python": platform.python_version(), "yosys": tools.version_of(tools.YOSYS)}
    if job.seeds:
        versions["nextpnr-ecp5"] = tools.version_of(tools.NEXTPNR_ECP5)
    return versions


def _yosys(folder: Path, text: str, produces: Sequence[str]) -> str:
    (folder / "run.ys").write_text(text)
    for name, content in script.MAPS.items():
        (folder / name).write_text(content)
    return tools.run(tools.YOSYS, ["-s", "run.ys"], folder, produces)


def _count(job: Job, folder: Path) -> tuple[list[ModuleCount], list[checks.Problem]]:
    text = script.counting_script(job.target, VERILOG_FILE, TOP, job.dsp, job.products, job.chained_adders)
    log = _yosys(folder, text, [script.STAT_FILE, script.CHECK_FILE])
    modules = count_modules(json.loads((folder / script.STAT_FILE).read_text()), TOP, job.target)
    problems = checks.structural(*((folder / name).read_text() for name in (script.CHECK_FILE, script.LATCH_FILE)))
    memories = checks.memories_of((folder / script.MEMORY_FILE).read_text())
    problems += checks.misplaced(memories, checks.places_of(log), job.target)
    return modules, [replace(p, where=p.where.removeprefix(f"{TOP}.")) for p in problems]


def _place_and_route(job: Job, folder: Path, steps: Steps, modules: list[ModuleCount]) -> dict[str, Any]:
    text = script.flat_script(job.target, VERILOG_FILE, TOP, job.dsp, job.products, chained_adders=job.chained_adders)
    steps.run("synthesise flat, for place and route", lambda: _yosys(folder, text, [script.NETLIST_FILE]))
    packed = steps.run(
        "pack registers into block RAM and multipliers",
        lambda: pack_file(folder / script.NETLIST_FILE, TOP, folder / PACKED_FILE),
    )
    trimmed = None
    if job.trim:
        trimmed = steps.run("trim carry chains and addresses", lambda: trim_file(folder / PACKED_FILE, TOP))
    seeds: list[dict[str, Any]] = []
    frequencies: list[float] = []
    paths = [module.path for module in modules]
    for seed in job.seeds:
        title = f"place and route with seed {seed}"
        report = steps.run(title, partial(_route, job, folder, seed))
        path = timing_report.critical_path(report, paths)
        frequencies.append(round(timing_report.fmax_mhz(report), 2))
        seeds.append(
            {
                "seed": seed,
                "fmax_mhz": frequencies[-1],
                "seconds": steps.seconds[title],
                "critical_path": path.as_dict() if path else None,
                "slow_ends": [asdict(ends) for ends in timing_report.slow_ends(report, paths)],
            }
        )
    return {
        "device": job.target.title,
        "speed": job.speed,
        "placer": job.placer,
        "router": job.router,
        "registers_packed": asdict(packed),
        "trimmed": trimmed,
        "fmax_mhz_median": round(statistics.median(frequencies), 2),
        "seeds": seeds,
        "utilisation_with_wrapper": timing_report.utilisation(report),
    }


def _route(job: Job, folder: Path, seed: int) -> dict[str, Any]:
    report = f"report-{seed}.json"
    device = [part for option in job.target.device.items() for part in option if part]
    arguments = [
        *device, "--speed", str(job.speed), "--json", PACKED_FILE, "--report", report,
        "--seed", str(seed), "--placer", job.placer, "--router", job.router, "--freq", str(TARGET_MHZ),
        "--timing-allow-fail", "--out-of-context", "--detailed-timing-report",
        "--placer-heap-cell-placement-timeout", "0",  # its default overflows, and gives up, from 46,341 cells on
    ]  # fmt: skip
    tools.run(tools.NEXTPNR_ECP5, arguments, folder, [report])
    return dict(json.loads((folder / report).read_text()))
