"""Scenarios for :mod:`sim.top.runner`: the driver sleeps until `irq`, in Python and in C."""

import ctypes
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from golden.files.tensors import TensorFile
from latte_hw.driver import LengthError
from latte_hw.driver.layers import packets_of
from sim.top.bench import TopBench
from sim.top.faults import LAYER, raised_by
from sim.top.layers import check, run_layer, tensors_of
from sim.top.transport import LONGEST_WAIT_CYCLES

MOST_READS = 12
"""Of registers in a layer whose end `irq` reports, however long it takes; polling reads one in 64 cycles."""


def completion(bench: TopBench) -> dict[str, Any]:
    """Layers, a step of decoding and a refused layer: nothing is polled, and `irq` is low between them."""
    layer = tensors_of(bench.config, **(LAYER | {"n_queries": 15, "n_keys": 15}))  # long: polling shows
    transport = bench.transport
    run_layer(bench, layer)
    polled = transport.reads
    transport.by_irq = True
    reads = []
    for keep in (False, True):
        before, irqs = transport.reads, transport.irqs
        run_layer(bench, layer, keep=keep)
        reads.append(transport.reads - before)
        assert transport.irqs > irqs, "no wait was ended by irq"
        assert not bench.dut.irq.value
    before = transport.reads
    out = bench.latte.append(layer.q8[:, 0], layer.k8[:, 0], layer.v8[:, 0])
    reads.append(transport.reads - before)
    assert out.shape == (4, bench.config.head_dim)
    assert max(reads) <= MOST_READS, f"{reads} registers were read"
    assert max(reads) < polled, f"{reads} registers were read, {polled} when polled"

    write, begun = bench.latte.registers.write, transport.cycle

    def spoil(path: str, **values: int) -> None:
        write(path, **(values | {"n_keys": 0} if path == "layer_lengths" else values))

    bench.latte.registers.write = spoil  # type: ignore[method-assign, assignment]
    refused = raised_by(LengthError, lambda: bench.latte.attention(layer.q8, layer.k8, layer.v8))
    bench.latte.registers.write = write  # type: ignore[method-assign]
    assert refused.bits == ("length_zero",), refused.bits
    assert transport.cycle - begun < LONGEST_WAIT_CYCLES, "irq did not come when the layer was refused"
    run_layer(bench, layer)
    return {"reads": reads, "polled": polled}


# --- a program in C ---------------------------------------------------------------------------------------------------

READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32)
WRITE = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32)
WAIT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)

CYCLES_PER_MILLISECOND = 20
"""What a time-out counts as."""


class Program:
    """A program in C as a library (`tests/driver/simulated.c`), on the registers of the bench.

    It believes to have opened and mapped a UIO device file. The interrupt comes as such a file has it: once, until the
    program lets it come again.
    """

    def __init__(self, bench: TopBench, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        self._failures: list[BaseException] = []
        transport = bench.transport
        self._callbacks = (
            READ(lambda address: self._guarded(transport.read32, address)),
            WRITE(lambda address, word: self._guarded(transport.write32, address, word) and None),
            WAIT(lambda limit: self._guarded(transport.wait_irq, limit * CYCLES_PER_MILLISECOND)),
        )
        self._library.simulate(*self._callbacks)

    def run(self, *arguments: object) -> int:
        """Exit code of the program with these arguments."""
        words = [b"latte", *(str(argument).encode() for argument in arguments)]
        code = int(self._library.latte_main(len(words), (ctypes.c_char_p * len(words))(*words)))
        if self._failures:
            raise self._failures[0]
        return code

    @property
    def enabled(self) -> int:
        """How often it has let the interrupt come."""
        return int(self._library.times_enabled())

    def _guarded(self, call: Any, *arguments: int) -> int:
        try:
            return int(call(*arguments) or 0)
        except BaseException as error:  # would be lost in C
            self._failures.append(error)
            return 0


def in_c(bench: TopBench, library: str, by_irq: bool) -> dict[str, Any]:
    """Layers by a program in C that polls or waits for `irq`; the packets come from here, the output must be golden's.

    Its exit codes, of a good layer, of one that is refused and of one whose packets do not come; registers read for the
    good one; how often it has let the interrupt come.
    """
    layer = tensors_of(bench.config, **LAYER)
    program, transport = Program(bench, Path(library)), bench.transport
    (heads, n_queries, _), (kv_heads, n_keys, _) = layer.q8.shape, layer.k8.shape
    how = ("irq",) if by_irq else ()
    for name, rows in (("k", layer.k8), ("v", layer.v8), ("q", layer.q8)):
        for packet in packets_of(rows, bench.config):
            transport.send(name, packet)
    before = transport.reads
    codes = {"good": program.run("/dev/uio0", 0, heads, kv_heads, n_queries, n_keys, *how)}
    reads, enabled = transport.reads - before, program.enabled
    packets = [transport.receive(0) or b"" for _ in packets_of(layer.q8, bench.config)]
    out = np.frombuffer(b"".join(packets), np.int8).reshape(layer.q8.shape)
    check(bench, with_table(bench, layer), out)
    assert not bench.dut.irq.value
    codes["refused"] = program.run("/dev/uio0", 0, heads, kv_heads, n_queries, 0, *how)
    codes["stalled"] = program.run("/dev/uio0", 0, heads, kv_heads, n_queries, n_keys, *how)
    bench.latte.soft_reset()
    run_layer(bench, layer)
    return {"codes": codes, "reads": reads, "enabled": enabled}


def with_table(bench: TopBench, layer: TensorFile) -> TensorFile:
    """The layer with the thresholds and softmax scales that the core's table holds."""
    heads = range(layer.heads)
    read = bench.latte.registers.read
    thresholds = [read(f"head_table[{head}].threshold")["threshold"] for head in heads]
    scales = [read(f"head_table[{head}].scale") for head in heads]
    registers = np.array([[scale["mantissa"], scale["shift"]] for scale in scales])
    return replace(layer, tau_int=np.array(thresholds), softmax_scale=registers)
