"""The native simulator: the verilated core and its streams in one shared library, driven from NumPy through ctypes.

The clock loop, the streams and what they record are C++ (`native.cpp`), compiled with the model of one design; what is
queued when, and when a run ends or hangs, is decided by :class:`sim.head.harness.HeadSchedule`, as under cocotb. So a
run has the same beats in the same cycles as the cocotb bench. Ports, flow control and stages are cocotb's to judge: no
other driver or taker can be put in place here.
"""

import ctypes
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latte_hw.config.errors import MismatchError
from sim.head.harness import NEVER, HangError, HeadSchedule, Options
from sim.head.traffic import Traffic
from sim.lib.layout import Description, Port, Raw, to_raw
from sim.lib.recording import Beats, Recording
from sim.lib.streams import Pace
from sim.simulators import builds
from sim.simulators.runner import Progress

SOURCE = Path(__file__).with_suffix(".cpp")
LIBRARY = "core.so"
SLICE_CYCLES = 16384
"""Cycles of one call at most: as many draws of a pace are made at once, and so often is progress reported."""

_ENTRIES = {("stream", "in"): "SOURCE", ("stream", "out"): "SINK", ("tap", "out"): "TAP"}
_OPTIMISED, _QUICK = "OPT_FAST=-O2", "OPT_FAST=-O0"
_FLAGS = "-fPIC -fvisibility=hidden -DVL_USER_FATAL"
_RUNTIME = ("verilated.o", "verilated_threads.o")
_EXPORTS = "{ global: latte_*; local: *; };\n"
"""Two designs are loaded into one process: each keeps its copy of Verilator's runtime to itself."""


def run(
    verilog: Path,
    description: Path,
    traffic: Traffic,
    options: Options,
    *,
    progress: Progress | None = None,
    quick_build: bool = False,
) -> Recording:
    """Run one traffic through the core and return what was recorded: as :func:`sim.simulators.runner.run` does with
    cocotb.

    Raises :class:`MismatchError` when the core hangs, :class:`latte_hw.config.errors.LatteError` when a tool fails.
    """
    described = Description.load(description)
    return Design(build(verilog, described, quick_build), described).run(traffic, options, progress)


# --- building ---------------------------------------------------------------------------------------------------------


def build(verilog: Path, description: Description, quick: bool = False) -> Path:
    """The shared library of a design, built unless it was before.

    ``quick`` leaves optimisation out: for a small core that runs some thousand cycles, where the compiler takes longer.
    Raises :class:`latte_hw.config.errors.LatteError` when a tool fails.
    """
    env = builds.environment("verilator")
    ports = header(description)
    level = _QUICK if quick else _OPTIMISED
    parts = (verilog.read_text(), description.top, ports, SOURCE.read_text(), level, _FLAGS, _version())
    compiled = partial(_compile, verilog, description.top, ports, level, env)
    folder = builds.once("native", parts, compiled)
    return folder / LIBRARY


@lru_cache(maxsize=1)
def _version() -> str:
    return builds.version("verilator")


def header(description: Description) -> str:
    """`ports.h` of a design; see `native.cpp`."""
    entries = [f"{_ENTRIES[port.kind, port.direction]}({port.name}, {port.bytes})" for port in _streams(description)]
    signals = [port.name for port in description.ports.values() if port.kind == "signal"]
    return f"#define PORTS(SOURCE, SINK, TAP) {' '.join(entries)}\n#define SIGNAL {signals[0]}\n"


def _streams(description: Description) -> list[Port]:
    """In the order of their numbers in the library."""
    return [*description.sources, *description.sinks, *description.tap_ports]


def _compile(verilog: Path, top: str, ports: str, level: str, env: dict[str, str], folder: Path) -> None:
    objects = builds.workshop(folder, env)
    source = f"{top}.v"
    shutil.copy(verilog, folder / source)
    shutil.copy(SOURCE, objects)
    (objects / "ports.h").write_text(ports)
    (objects / "exports").write_text(_EXPORTS)
    command = ["verilator", "-cc", "--exe", "--prefix", "Vtop", "-Mdir", builds.OBJECTS, "--top-module", top]
    builds.call([*command, *builds.VERILATOR_FLAGS, SOURCE.name, source], env, "translating", folder)
    make = builds.make_command(objects, level, f"USER_CPPFLAGS={_FLAGS}")

    def compile_runtime(scratch: Path) -> None:
        builds.call([*make, *_RUNTIME], env, "compiling the runtime", folder)
        for name in _RUNTIME:
            shutil.copy(objects / name, scratch)

    runtime = builds.once("native-runtime", (_FLAGS, _version()), compile_runtime)
    builds.call([*make, "Vtop__ALL.a", "native.o"], env, "compiling", folder)
    link = ["g++", "-shared", "-o", str(folder / LIBRARY), "native.o", "Vtop__ALL.a"]
    link += [*(str(runtime / name) for name in _RUNTIME), "-Wl,--version-script=exports", "-pthread"]
    builds.call(link, env, "linking", objects)
    builds.close_workshop(folder)


# --- running ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def _load(path: Path) -> ctypes.CDLL:
    """The library with the types of its functions. A library that is loaded stays until the process ends."""
    library = ctypes.CDLL(str(path))
    bench, stream, count, cycle, address, data = (
        ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_char_p,
    )  # fmt: skip
    for name, result, arguments in (
        ("fault", data, []),
        ("new", bench, [ctypes.c_int]),
        ("delete", None, [bench]),
        ("run", cycle, [bench, cycle]),
        ("clock_only", cycle, [bench, cycle]),
        ("signal", address, [bench]),
        ("status", address, [bench]),
        ("streams", ctypes.c_int, [bench]),
        ("push", None, [bench, stream, data, count]),
        ("pace", None, [bench, stream, data, count]),
        ("draws_left", count, [bench, stream]),
        ("await", None, [bench, stream, count]),
        ("cycles", address, [bench, stream]),
        ("payloads", address, [bench, stream]),
        ("waiting", count, [bench, stream]),
        ("offers", ctypes.c_int, [bench, stream]),
    ):
        function = getattr(library, f"latte_{name}")
        function.restype, function.argtypes = result, arguments
    return library


class Core:
    """One core after reset. Ends with :meth:`close`."""

    def __init__(self, library: Path, seed: int) -> None:
        self._library = _load(library)
        self._bench = self._library.latte_new(seed % 2**31 + 1)
        if not self._bench:
            raise self._fault()
        address = self._library.latte_status(self._bench)
        streams = self._library.latte_streams(self._bench)
        self.status = (ctypes.c_int64 * (1 + streams)).from_address(address)
        """After a run: the latest cycle with a transfer, and the number of transfers of each stream."""

    def close(self) -> None:
        self._library.latte_delete(self._bench)

    def __enter__(self) -> "Core":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, name: str, *arguments: Any) -> Any:
        return getattr(self._library, f"latte_{name}")(self._bench, *arguments)

    def run(self, until: int) -> int:
        """Sample up to the cycle ``until``, or until a stream has what it awaits; the cycle that was sampled last."""
        cycle: int = self._library.latte_run(self._bench, until)
        if cycle < 0:
            raise self._fault()
        return cycle

    def clock_only(self, cycles: int) -> None:
        """A bare C++ loop over the model, for measuring: the last payloads over and over. Nothing is recorded."""
        if self.call("clock_only", cycles) < 0:
            raise self._fault()

    def array(self, address: int | None, count: int, kind: type[np.generic]) -> NDArray:
        """A copy of ``count`` elements in the library's memory."""
        size = count * np.dtype(kind).itemsize
        return np.frombuffer(ctypes.string_at(address, size) if address and size else b"", kind)

    def _fault(self) -> MismatchError:
        return MismatchError(f"native: {self._library.latte_fault().decode()}")


class Stream:
    """One stream of a core: what a schedule needs of it, and what it recorded."""

    def __init__(self, core: Core, number: int, port: Port, pace: Pace | None) -> None:
        self.name = port.name
        self._core, self._number, self._bytes, self._pace = core, number, port.bytes, pace
        self._awaited = NEVER

    def _call(self, name: str, *arguments: Any) -> Any:
        return self._core.call(name, self._number, *arguments)

    def push_raw(self, payloads: Raw) -> None:
        self._call("push", payloads.tobytes(), len(payloads))

    def draw_ahead(self) -> None:
        """Provide the draws of a slice."""
        if self._pace is not None and (missing := SLICE_CYCLES - self._call("draws_left")) > 0:
            self._call("pace", self._pace.draw(missing).tobytes(), missing)

    def await_transfers(self, count: int) -> None:
        """A run stops in the cycle in which there have been so many."""
        if count != self._awaited:
            self._awaited = count
            self._call("await", count)

    @property
    def valid(self) -> bool:
        return bool(self._call("offers"))

    @property
    def waiting(self) -> int:
        return int(self._call("waiting"))

    @property
    def transfers(self) -> int:
        return self._core.status[1 + self._number]

    @property
    def cycles(self) -> NDArray[np.int64]:
        return self._core.array(self._call("cycles"), self.transfers, np.int64)

    @property
    def beats(self) -> Beats:
        """Of an output or tap."""
        raw = self._core.array(self._call("payloads"), self.transfers * self._bytes, np.uint8)
        return Beats(raw.reshape(-1, self._bytes), self.cycles)


@dataclass
class NativeSchedule(HeadSchedule):
    """A schedule over the streams of a core in C++."""

    core: Core = field(kw_only=True)
    sources: Mapping[str, Stream] = field(init=False)
    sinks: Mapping[str, Stream] = field(init=False)

    def make_streams(self) -> None:
        kinds: dict[tuple[str, str], dict[str, Stream]] = {kind: {} for kind in _ENTRIES}
        for number, port in enumerate(_streams(self.description)):
            pace = None if port.kind == "tap" else self.pace_of(port.name)
            kinds[port.kind, port.direction][port.name] = Stream(self.core, number, port, pace)
        self.sources, self.sinks, self.taps = kinds.values()
        self._drawn_until = 0

    def run(self, progress: Progress | None) -> None:
        """To the end of the run; :class:`HangError` if there is none."""
        while not self.finished:
            if self.cycle >= self._drawn_until:
                self._drawn_until = self.cycle + SLICE_CYCLES
                for stream in (*self.sources.values(), *self.sinks.values()):
                    stream.draw_ahead()
                if progress is not None:
                    progress(self.rows_done)
            decision = self.decision
            self.sinks["o_out"].await_transfers(decision.rows)
            self.sources["i_table"].await_transfers(decision.entries)
            self.cycle = self.core.run(min(decision.cycle, self._drawn_until - 1))
            self.step(self._read_counters)

    def _read_counters(self) -> int:
        size = self.description.ports["o_counters"].bytes
        return int.from_bytes(ctypes.string_at(self.core.call("signal"), size), "little")

    @property
    def last_transfer(self) -> int:
        return self.core.status[0]

    def recording(self) -> Recording:
        recording = Recording(self.cycle, to_raw(self.counters, self.description.ports["o_counters"].bytes))
        recording.beats = {name: stream.beats for name, stream in (*self.sinks.items(), *self.taps.items())}
        recording.accepted = {name: stream.cycles for name, stream in self.sources.items()}
        return recording


@dataclass(frozen=True)
class Design:
    """A library and the description of its ports. Any number of runs, each from reset."""

    library: Path
    description: Description

    def run(self, traffic: Traffic, options: Options, progress: Progress | None = None) -> Recording:
        """Every head of a traffic is a job. Raises :class:`MismatchError` when the core hangs."""
        with Core(self.library, options.seed) as core:
            schedule = NativeSchedule(self.description, traffic, options, core=core)
            began = process_time()
            try:
                schedule.run(progress)
            except HangError as problem:
                raise MismatchError(f"native: {problem}") from None
            seconds = process_time() - began
            return replace(schedule.recording(), seconds=seconds)

    def bare_rate(self, traffic: Traffic, cycles: int) -> float:
        """Cycles per second of the model alone, in a bare loop after a run of ``traffic``."""
        with Core(self.library, 0) as core:
            NativeSchedule(self.description, traffic, core=core).run(None)
            began = process_time()
            core.clock_only(cycles)
            return cycles / (process_time() - began)
