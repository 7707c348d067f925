"""A core behind AXI DMA engines as software sees it: registers and memory, no time. For tests of the driver.

The core's results are golden's. Everything moves as far as it can after each access of a register.
"""

import os
from collections import deque
from collections.abc import Callable

import numpy as np

from golden.blocks.head import HeadRegisters, HeadResult, run_head
from golden.blocks.quantize import saturate
from latte_hw.config.top import Packets, TopConfig
from latte_hw.driver.layers import packets_of
from latte_hw.params import HeadParams
from latte_hw.system.csr.table import top_registers
from latte_hw.system.csr.view import RegisterView

RUN, RESET, IRQ_ENABLES, HALTED, IDLE, SCATTER_GATHER, INTERNAL_ERROR, SLAVE_ERROR = (
    *(1, 4, 0b101 << 12),
    *(1, 2, 1 << 3, 1 << 4, 1 << 5),
)
COMPLETED = 1 << 12
LENGTH, S2MM_LENGTH = 0x28, 0x58


class CoreModel:
    """Registers and packets of a core. `errors` are raised with the next layer."""

    def __init__(self, config: TopConfig) -> None:
        self.config = config
        self.view = RegisterView(top_registers(config))
        self.words = {placed.address: placed.register.reset for placed in self.view.map.placed()}
        self.errors: dict[str, int] = {}
        self.outputs: deque[bytes] = deque()
        self._taken: dict[str, list[bytes]] = {}
        self._busy = self._done = self._appends = False
        self._kept: tuple[np.ndarray, np.ndarray]

    def read32(self, address: int) -> int:
        if address == self.view.address("status"):
            return self.view.pack("status", {"busy": self._busy, "idle": not self._busy, "done": self._done})
        return self.words[address]

    def write32(self, address: int, word: int) -> None:
        if address in (self.view.address("errors"), self.view.address("irq_status")):
            self.words[address] &= ~word
        elif address == self.view.address("control"):
            self._command(self.view.unpack("control", word))
        else:
            self.words[address] = word

    def get(self, path: str) -> dict[str, int]:
        return self.view.unpack(path, self.words[self.view.address(path)])

    @property
    def irq(self) -> bool:
        causes, enabled = self.get("irq_status"), self.get("irq_enable")
        return any(causes[name] and enabled[name] for name in causes)

    def _raise(self, cause: str) -> None:
        self.words[self.view.address("irq_status")] |= self.view.pack("irq_status", {cause: 1})

    def take(self, stream: str, packet: bytes) -> bool:
        """Offer a packet; whether it was taken."""
        heads = self.get("layer_heads")
        kv_heads = heads["heads"] // max(1, heads["group_size"])
        due = {"q": heads["heads"], "k": kv_heads, "v": kv_heads}
        if self.config.packets is Packets.LAYER:
            due = dict.fromkeys(due, 1)
        if not self._busy or len(self._taken[stream]) == due[stream]:
            return False
        self._taken[stream].append(packet)
        if {name: len(taken) for name, taken in self._taken.items()} == due:
            self._compute(heads["heads"], kv_heads)
        return True

    def _command(self, control: dict[str, int]) -> None:
        if control["soft_reset"]:
            self._busy = self._done = False
            self.outputs.clear()
            for path in ("errors", "irq_status", "irq_enable"):
                self.words[self.view.address(path)] = 0
        if control["start"] or control["append"]:
            self._busy, self._done = True, False
            self._appends = not control["start"]
            self._taken = {name: [] for name in "qkv"}
            self.words[self.view.address("errors")] |= self.view.pack("errors", self.errors)
            if self.errors:
                self._raise("error")
            if self.errors.keys() & {"length_zero", "length_too_large"}:
                self._busy = False
            self.errors = {}

    def _compute(self, heads: int, kv_heads: int) -> None:
        params, group = HeadParams(self.config), heads // kv_heads
        q, k, v = (
            np.frombuffer(b"".join(self._taken[name]), np.int8).reshape(count, -1, self.config.head_dim)
            for name, count in (("q", heads), ("k", kv_heads), ("v", kv_heads))
        )
        (q, q_range), (k, k_range) = (saturate(x, params) for x in (q, k))
        self.words[self.view.address("errors")] |= self.view.pack("errors", {"q_range": q_range, "k_range": k_range})
        offset = self.get("causal_offset")["offset"]
        if self._appends:
            k, v = (np.concatenate(pair, axis=1) for pair in zip(self._kept, (k, v), strict=True))
            offset = k.shape[1] - 1
        self._kept = k, v
        rows = np.zeros(q.shape, f"<i{params.widths.out_bytes}")
        for head in range(len(q)):
            result = HeadResult.empty(q.shape[1], *k.shape[1:])
            scale = self.get(f"head_table[{head}].scale")
            registers = HeadRegisters(
                self.get(f"head_table[{head}].threshold")["threshold"], scale["mantissa"], scale["shift"]
            )
            run_head(q[head], k[head // group], v[head // group], registers, offset, params, result)
            rows[head] = result.out
        self.outputs.extend(packets_of(rows, self.config))
        self._busy, self._done = False, True
        self._raise("done")


class Memory:
    """A buffer at an address of a memory that engines see."""

    def __init__(self, memory: bytearray, address: int, size: int) -> None:
        self.address, self.size, self._memory = address, size, memory

    def write(self, content: bytes) -> None:
        assert len(content) <= self.size
        self._memory[self.address : self.address + len(content)] = content

    def read(self, size: int) -> bytes:
        return bytes(self._memory[self.address : self.address + size])


class ModelInterrupt:
    """An interrupt, `line` being its level; it comes when it is enabled, since nothing moves at other times."""

    def __init__(self, line: Callable[[], bool]) -> None:
        self._line, self._event = line, os.eventfd(0)
        self.came = 0

    def fileno(self) -> int:
        return self._event

    def enable(self) -> None:
        if self._line():
            os.eventfd_write(self._event, 1)

    def acknowledge(self) -> None:
        os.eventfd_read(self._event)
        self.came += 1


class EngineModel:
    """An AXI DMA in direct register mode: MM2S at 0x00 to `stream` of the core, S2MM at 0x30 from its output.

    `length_bits` is its Width of Buffer Length Register; with `scatter_gather` it is one of the other mode.
    """

    def __init__(
        self,
        core: CoreModel,
        stream: str,
        memory: bytearray,
        length_bits: int = 26,
        scatter_gather: bool = False,
    ) -> None:
        self._core, self._stream, self._memory = core, stream, memory
        self._length_bits, self._status = length_bits, HALTED | (SCATTER_GATHER if scatter_gather else 0)
        self._reset()

    def irq(self, base: int) -> bool:
        """Of the channel at `base`."""
        return bool(self._words[base] & self._words[base + 0x04] & IRQ_ENABLES)

    def _reset(self) -> None:
        self._words = dict.fromkeys(range(0, 0x60, 4), 0) | {0x04: self._status, 0x34: self._status}
        self._running = {0x00: False, 0x30: False}

    def read32(self, offset: int) -> int:
        self._move()
        return self._words[offset]

    def write32(self, offset: int, word: int) -> None:
        base, register = (0x30, offset - 0x30) if offset >= 0x30 else (0x00, offset)
        if register == 0x00 and word & RESET:
            self._reset()
            return
        if register == 0x04:
            self._words[offset] &= ~(word & IRQ_ENABLES)
            return
        self._words[offset] = word & ((1 << self._length_bits) - 1) if register == LENGTH else word
        if register == 0x00 and word & RUN:
            self._words[base + 0x04] &= ~HALTED
        if register == LENGTH:
            self._begin(base, self._words[offset])
        self._move()

    def _begin(self, base: int, length: int) -> None:
        assert not self._words[base + 0x04] & HALTED, "LENGTH was written to a channel that does not run"
        assert not self._running[base], "LENGTH was written while a transfer runs"
        if length == 0:  # has no effect
            return
        self._words[base + 0x04] &= ~IDLE
        self._running[base] = True
        if self._address(base) + length > len(self._memory):
            self._fail(base, SLAVE_ERROR)

    def _fail(self, base: int, error: int) -> None:
        self._words[base + 0x04] |= error | HALTED
        self._running[base] = False

    def _address(self, base: int) -> int:
        return self._words[base + 0x18] | self._words[base + 0x1C] << 32

    def _move(self) -> None:
        if self._running[0x00]:
            start = self._address(0x00)
            if self._core.take(self._stream, bytes(self._memory[start : start + self._words[LENGTH]])):
                self._finish(0x00)
        if self._running[0x30] and self._core.outputs:
            packet, start = self._core.outputs.popleft(), self._address(0x30)
            if len(packet) > self._words[S2MM_LENGTH]:
                self._fail(0x30, INTERNAL_ERROR)
                return
            self._memory[start : start + len(packet)] = packet
            self._words[S2MM_LENGTH] = len(packet)
            self._finish(0x30)

    def _finish(self, base: int) -> None:
        self._running[base] = False
        self._words[base + 0x04] |= IDLE | COMPLETED
