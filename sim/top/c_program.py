"""Scenario for :mod:`sim.top.runner`: a C program, loaded as a shared library, runs a layer on the simulated core."""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from golden.attention import attention
from golden.files.stimuli import random_trace
from golden.files.tensors import from_arrays
from latte_hw.driver.transport import Transport
from latte_hw.params import HeadParams
from sim.top.bench import TopBench
from sim.top.transport import INPUTS

Word, Address = ctypes.c_uint32, ctypes.c_uint32
BYTES = ctypes.POINTER(ctypes.c_int8)


class Core(ctypes.Structure):
    """What the program reaches the core by: `core_t` of it."""

    _fields_ = (
        ("read", ctypes.CFUNCTYPE(Word, Address)),
        ("write", ctypes.CFUNCTYPE(None, Address, Word)),
        ("send", ctypes.CFUNCTYPE(None, ctypes.c_int, BYTES, ctypes.c_uint32)),
        ("receive", ctypes.CFUNCTYPE(ctypes.c_int, BYTES, ctypes.c_uint32)),
        ("wait", ctypes.CFUNCTYPE(None)),
    )


def core_of(transport: Transport, failures: list[Exception]) -> Core:
    """The transport as functions of C. Exceptions cannot pass through C: they are noted in `failures`."""

    def noted(call: Callable[..., Any], otherwise: Any = None) -> Callable[..., Any]:
        def function(*arguments: Any) -> Any:
            try:
                return otherwise if failures else call(*arguments)
            except Exception as error:
                failures.append(error)
                return otherwise

        return function

    def send(stream: int, packet: Any, size: int) -> None:
        transport.send(INPUTS[stream], ctypes.string_at(packet, size))

    def receive(packet: Any, size: int) -> int:
        content = transport.receive(size)
        if content is None:
            return 0
        assert len(content) == size, f"an output packet has {len(content)} bytes, not {size}"
        ctypes.memmove(packet, content, size)
        return 1

    # With `done` and without `busy` the program ends wherever it is.
    functions = (noted(transport.read32, 0b100), noted(transport.write32), noted(send), noted(receive, 1))
    types = [kind for _, kind in Core._fields_]
    made = [kind(function) for kind, function in zip(types, (*functions, noted(transport.wait)), strict=True)]
    return Core(*made)


def layer(bench: TopBench, library: str, shape: dict[str, int]) -> dict[str, Any]:
    """A layer of random real numbers through the program's `layer`; its output must be golden's of the same numbers."""
    config = bench.config
    trace = random_trace(config, **shape)
    tensors = from_arrays(trace, config)
    q, k, v = (np.ascontiguousarray(trace[name], np.float32) for name in INPUTS)
    tau = trace["tau"].astype(np.float64)
    element = np.dtype(f"<i{HeadParams(config).widths.out_bytes}")
    scratch, out = np.zeros(q.size + k.size + v.size, np.int8), np.zeros(q.shape, element)
    failures: list[Exception] = []
    core = core_of(bench.transport, failures)

    function = ctypes.CDLL(library).layer
    function.restype = ctypes.c_int64
    arrays = [ctypes.c_void_p(array.ctypes.data) for array in (q, k, v, tau, scratch, out)]
    counts = [ctypes.c_uint32(count) for count in (len(q), len(k), q.shape[1], k.shape[1])]
    returned = function(ctypes.byref(core), *counts, *arrays)
    if failures:
        raise failures[0]
    expected = attention(tensors, config)
    assert returned == 0, f"the program returned {returned}"
    assert out.tobytes() == expected["out"].astype(element).tobytes(), "the program's output is not golden's"
    for number, head in enumerate(tensors.tau_int):
        threshold = bench.latte.registers.read(f"head_table[{number}].threshold")["threshold"]
        assert threshold == head, f"threshold {number} is {threshold}, not {head}"
    bench.transport.assert_nothing_left()
    kept = int(expected["counters"][:, 2].sum())
    return {"elements": out.size, "kept": kept, "seen": int(expected["counters"][:, 0].sum())}
