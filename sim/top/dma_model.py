"""A core behind AXI DMA engines as software sees it: registers and memory, no time. For tests of the driver.

The core's results are golden's. Everything moves as far as it can after each access of a register.
"""

from collections import deque

import numpy as np

from golden.blocks.head import HeadRegisters, HeadResult, run_head
from golden.blocks.quantize import saturate
from latte_hw.config.top import TopConfig
from latte_hw.params import HeadParams
from latte_hw.system.csr.table import top_registers
from latte_hw.system.csr.view import RegisterView

RUN, RESET, HALTED, IDLE, SLAVE_ERROR = 1, 4, 1, 2, 1 << 5


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
        if address == self.view.address("errors"):
            self.words[address] &= ~word
        elif address == self.view.address("control"):
            self._command(self.view.unpack("control", word))
        else:
            self.words[address] = word

    def get(self, path: str) -> dict[str, int]:
        return self.view.unpack(path, self.words[self.view.address(path)])

    def take(self, stream: str, packet: bytes) -> bool:
        """Offer a packet; whether it was taken."""
        heads = self.get("layer_heads")
        due = heads["heads"] if stream == "q" else heads["heads"] // max(1, heads["group"])
        if not self._busy or len(self._taken[stream]) == due:
            return False
        self._taken[stream].append(packet)
        kv_heads = heads["heads"] // heads["group"]
        if [len(self._taken[name]) for name in "qkv"] == [heads["heads"], kv_heads, kv_heads]:
            self._compute(heads["group"])
        return True

    def _command(self, control: dict[str, int]) -> None:
        if control["soft_reset"]:
            self._busy = self._done = False
            self.outputs.clear()
        if control["start"] or control["append"]:
            self._busy, self._done = True, False
            self._appends = not control["start"]
            self._taken = {name: [] for name in "qkv"}
            self.words[self.view.address("errors")] |= self.view.pack("errors", self.errors)
            if self.errors.keys() & {"length_zero", "length_too_large"}:
                self._busy = False
            self.errors = {}

    def _compute(self, group: int) -> None:
        params = HeadParams(self.config)
        q, k, v = (
            np.array([np.frombuffer(packet, np.int8) for packet in self._taken[name]]).reshape(
                len(self._taken[name]), -1, self.config.head_dim
            )
            for name in "qkv"
        )
        (q, q_range), (k, k_range) = (saturate(x, params) for x in (q, k))
        self.words[self.view.address("errors")] |= self.view.pack("errors", {"q_range": q_range, "k_range": k_range})
        offset = self.get("causal_offset")["offset"]
        if self._appends:
            k, v = (np.concatenate(pair, axis=1) for pair in zip(self._kept, (k, v), strict=True))
            offset = k.shape[1] - 1
        self._kept = k, v
        for head in range(len(q)):
            result = HeadResult.empty(q.shape[1], *k.shape[1:])
            scale = self.get(f"table[{head}].scale")
            registers = HeadRegisters(
                self.get(f"table[{head}].threshold")["threshold"], scale["mantissa"], scale["shift"]
            )
            run_head(q[head], k[head // group], v[head // group], registers, offset, params, result)
            self.outputs.append(result.out.astype(f"<i{params.widths.out_bytes}").tobytes())
        self._busy, self._done = False, True


class Memory:
    """A buffer at an address of a memory that engines see."""

    def __init__(self, memory: bytearray, address: int, size: int) -> None:
        self.address, self.size, self._memory = address, size, memory

    def write(self, content: bytes) -> None:
        assert len(content) <= self.size
        self._memory[self.address : self.address + len(content)] = content

    def read(self, size: int) -> bytes:
        return bytes(self._memory[self.address : self.address + size])


class EngineModel:
    """An AXI DMA in direct register mode: MM2S at 0x00 to `stream` of the core, S2MM at 0x30 from its output."""

    def __init__(self, core: CoreModel, stream: str, memory: bytearray) -> None:
        self._core, self._stream, self._memory = core, stream, memory
        self._reset()

    def _reset(self) -> None:
        self._words = dict.fromkeys(range(0, 0x60, 4), 0) | {0x04: HALTED, 0x34: HALTED}
        self._running = {0x00: False, 0x30: False}

    def read32(self, offset: int) -> int:
        self._move()
        return self._words[offset]

    def write32(self, offset: int, word: int) -> None:
        base, register = (0x30, offset - 0x30) if offset >= 0x30 else (0x00, offset)
        if register == 0x00 and word & RESET:
            self._reset()
            return
        self._words[offset] = word
        if register == 0x00 and word & RUN:
            self._words[base + 0x04] &= ~HALTED
        if register == 0x28:
            assert not self._words[base + 0x04] & HALTED, "LENGTH was written to a channel that does not run"
            assert not self._running[base], "LENGTH was written while a transfer runs"
            self._words[base + 0x04] &= ~IDLE
            self._running[base] = True
            if self._address(base) + word > len(self._memory):
                self._words[base + 0x04] |= SLAVE_ERROR | HALTED
                self._running[base] = False
        self._move()

    def _address(self, base: int) -> int:
        return self._words[base + 0x18] | self._words[base + 0x1C] << 32

    def _move(self) -> None:
        if self._running[0x00]:
            start = self._address(0x00)
            if self._core.take(self._stream, bytes(self._memory[start : start + self._words[0x28]])):
                self._finish(0x00)
        if self._running[0x30] and self._core.outputs:
            packet, start = self._core.outputs.popleft(), self._address(0x30)
            assert len(packet) <= self._words[0x58], "the packet does not fit what was asked for"
            self._memory[start : start + len(packet)] = packet
            self._words[0x58] = len(packet)
            self._finish(0x30)

    def _finish(self, base: int) -> None:
        self._running[base] = False
        self._words[base + 0x04] |= IDLE
