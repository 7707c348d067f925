"""Runs layers and steps of decoding on a core, through any transport."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latte_hw.config.errors import LatteError
from latte_hw.config.json_file import read_object
from latte_hw.config.loading import config_of_json
from latte_hw.config.numbers import integer
from latte_hw.config.top import Packets, TopConfig
from latte_hw.driver import layers
from latte_hw.driver.errors import BusError, CoreError, StallError
from latte_hw.driver.layers import Array, Int8
from latte_hw.driver.registers import CoreRegisters
from latte_hw.driver.thresholds import Entries, entries_of
from latte_hw.driver.transport import InterruptTransport, Transport
from latte_hw.params import HeadParams


def config_of(description: str | Path) -> TopConfig:
    """The configuration in `latte_top.json`; :class:`LatteError` when the file is another one."""
    path = Path(description)
    content = read_object(path, "description")
    if "config" not in content:
        raise LatteError(f"description {path} is none that latte generate --core top wrote: config is missing")
    try:
        return config_of_json(content["config"], TopConfig)
    except LatteError as error:
        raise LatteError(f"description {path}: {error}") from None


class Latte:
    """A multi-head core behind a transport, `config` being what it was generated from.

    Raises :class:`latte_hw.driver.errors.UnknownCoreError` when another core answers. No method waits longer than
    `timeout` seconds without a packet moving: then :class:`latte_hw.driver.errors.StallError` says what stands still.
    A head takes up to n_queries · n_keys clock cycles, when it keeps every key; where a packet holds a layer, its rows
    count as movement. Sticky errors of the core are raised as :class:`latte_hw.driver.errors.CoreError`. When bus or
    DMA fail in the middle of a layer, the core is soft reset, so that another one may follow.

    With a transport that can wait for `irq` (:class:`latte_hw.driver.transport.InterruptTransport`) the driver sleeps
    until then; its causes are enabled from a command to its end.
    """

    def __init__(self, transport: Transport, config: TopConfig, timeout: float = 1.0) -> None:
        self.config = config
        self.params = HeadParams(config)
        self.timeout = timeout
        self.registers = CoreRegisters(transport, config)
        self._transport = transport
        self._keep = False
        self._by_irq = False
        self._kept: tuple[int, int, int] | None = None  # query heads, K/V heads and rows of what is kept
        self.registers.check_identity()

    @classmethod
    def of_description(cls, transport: Transport, description: str | Path, timeout: float = 1.0) -> "Latte":
        """The same, with the configuration in `latte_top.json`."""
        return cls(transport, config_of(description), timeout)

    # --- thresholds -----------------------------------------------------------------------------------------------

    def load_thresholds(
        self,
        thresholds: ArrayLike | str | Path,
        layer: int | None = None,
        *,
        scale_q: ArrayLike | None = None,
        scale_k: ArrayLike | None = None,
    ) -> None:
        """Thresholds and softmax scales of the next layer; see :func:`latte_hw.driver.thresholds.entries_of`.

        A layer that runs is not disturbed. q and k must be conditioned as the thresholds file says.
        """
        self.load_entries(entries_of(thresholds, layer, scale_q, scale_k, self.params))

    def load_entries(self, entries: Entries) -> None:
        """The same as registers: threshold, mantissa and shift of every query head."""
        if not 1 <= len(entries) <= self.config.table_entries:
            raise LatteError(f"there must be thresholds of 1 to {self.config.table_entries} heads, not {len(entries)}")
        words = []
        for head, entry in enumerate(entries):
            if len(entry) != 3:
                raise LatteError(f"an entry must be threshold, mantissa and shift, not {entry}")
            threshold, mantissa, shift = (integer(f"register of head {head}", value) for value in entry)
            words.append((f"head_table[{head}].threshold", {"threshold": threshold}))
            words.append((f"head_table[{head}].scale", {"mantissa": mantissa, "shift": shift}))
        for path, fields in words:  # all of them fit, or none is written
            self.registers.view.pack(path, fields)
        for path, fields in words:
            self.registers.write(path, **fields)

    # --- layers ---------------------------------------------------------------------------------------------------

    def attention(
        self,
        q: Array,
        k: Array,
        v: Array,
        *,
        causal: bool | None = None,
        causal_offset: int | None = None,
        keep: bool = False,
    ) -> NDArray[np.integer]:
        """Attention of a layer. q (H, Nq, D), k and v (G, Nk, D), int8; the result (H, Nq, D), int8 or int16.

        H must be a multiple of G. Query i of a causal layer sees keys j <= i + `causal_offset`, which is Nk - Nq unless
        given. `causal` is the configuration's unless given; a causal core runs a layer with all keys visible, too. With
        `keep`, K and V stay for :meth:`append`.
        """
        q, k, v = layers.check_layer(q, k, v, self.config)
        if keep and len(k) > self.config.cores:
            raise LatteError(f"keep needs no more than {self.config.cores} K/V heads, one per core, not {len(k)}")
        offset = layers.causal_offset(self.config, q.shape[1], k.shape[1], causal, causal_offset)
        self._prepare()
        self.registers.write("layer_heads", heads=len(q), group_size=len(q) // len(k))
        self.registers.write("layer_lengths", n_queries=q.shape[1], n_keys=k.shape[1])
        self.registers.write("causal_offset", offset=offset)
        out = self._run("start", q, k, v, keep)
        self._kept = (len(q), *k.shape[:2]) if keep else None
        return out

    def append(self, q: Array, k: Array, v: Array, *, keep: bool = True) -> NDArray[np.integer]:
        """A step of decoding: a row more of K and V per K/V head, k and v (G, D), then one query per query head that
        sees all rows so far, q (H, D); the result is (H, D). With `keep`, more may follow.

        The heads are those of the latest :meth:`attention` with `keep`, and so are the thresholds.
        """
        if self._kept is None:
            raise LatteError("append needs K and V that attention(..., keep=True) has left in the core")
        heads, kv_heads, rows = self._kept
        if rows == self.config.max_keys:
            raise LatteError(f"append to {rows} rows, which is max_keys, is not possible")
        q, k, v = (x[:, None] if np.ndim(x) == 2 else x for x in (q, k, v))
        q, k, v = layers.check_layer(q, k, v, self.config)
        if (len(q), len(k), q.shape[1], k.shape[1]) != (heads, kv_heads, 1, 1):
            raise LatteError(f"append takes one row for each of {heads} query heads and {kv_heads} K/V heads")
        self._prepare()
        out = self._run("append", q, k, v, keep)
        self._kept = (heads, kv_heads, rows + 1) if keep else None
        return out[:, 0]

    def _prepare(self) -> None:
        if self.registers.read("status")["busy"]:
            raise StallError(f"the core is still busy with an earlier command; soft_reset() ends it: {self._state()}")
        self.registers.clear_errors(self.registers.error_bits())

    def _run(self, command: str, q: Int8, k: Int8, v: Int8, keep: bool) -> NDArray[np.integer]:
        self._keep, self._kept = keep, None
        dtype: np.dtype[Any] = np.dtype(f"<i{self.params.widths.out_bytes}")
        rows_out = np.empty(q.shape, dtype)
        sizes = [len(packet) for packet in layers.packets_of(rows_out, self.config)]
        try:
            with self._interrupts(len(sizes)):
                self.registers.write("control", **{command: 1, "keep": int(keep)})
                for name, rows in (("k", k), ("v", v), ("q", q)):
                    for packet in layers.packets_of(rows, self.config):
                        self._transport.send(name, packet)
                packets = self._collect(len(sizes), sizes[0])
                self._until(lambda: not self.registers.read("status")["busy"])
        except BusError:
            with suppress(BusError):  # of a bus that does not work at all
                self.soft_reset()
            raise
        try:
            self.registers.raise_errors()
        except CoreError:
            self._transport.discard()  # a packet that was cut in two has left one too many
            raise
        out: NDArray[np.integer] = np.frombuffer(b"".join(packets), dtype).reshape(q.shape)
        return out

    @contextmanager
    def _interrupts(self, packets: int) -> Iterator[None]:
        """Within the block, a command that makes so many output packets may end a wait by `irq`."""
        transport = self._transport
        self._by_irq = isinstance(transport, InterruptTransport) and transport.expect(packets)
        if self._by_irq:
            self.registers.enable_irq()
        try:
            yield
        finally:
            if self._by_irq:
                self.registers.enable_irq(False)

    def _collect(self, count: int, size: int) -> list[bytes]:
        packets: list[bytes] = []

        def arrived() -> bool:
            while len(packets) < count and (packet := self._transport.receive(size)) is not None:
                if len(packet) != size:
                    raise StallError(f"output packet {len(packets)} has {len(packet)} bytes, not {size}")
                packets.append(packet)
            if len(packets) == count:
                return True
            status = self.registers.read("status")
            if not status["busy"] and not status["done"]:  # refused: nobody takes the packets
                self._transport.discard()
                self.registers.raise_errors()
            return False

        self._until(arrived, lambda: f"{len(packets)} of {count} output packets have come")
        return packets

    def _until(self, happened: Any, situation: Any = lambda: "all output packets have come") -> None:
        """Wait until something has happened, or nothing has moved for too long: no packet, nor a row of a packet that
        holds a whole layer."""
        moved, since, rows = None, self._transport.time(), 0
        while not happened():
            now, waited = (situation(), tuple(self._transport.unsent().items())), self._transport.time() - since
            if now != moved:
                moved, since = now, self._transport.time()
            elif waited > self.timeout:
                if (rows_now := self._rows_out()) == rows:
                    raise StallError(f"nothing has moved for {self.timeout:g} s: {situation()}; {self._state()}")
                rows, since = rows_now, self._transport.time()
            self._transport.wait()
            if self._by_irq:
                self.registers.clear_irq()

    def _rows_out(self) -> int:
        """Output rows so far, where packets do not show them."""
        if self.config.packets is Packets.HEAD:
            return 0
        return int(self.counters()["queries"])

    # --- state ----------------------------------------------------------------------------------------------------

    def counters(self) -> dict[str, Any]:
        """All counters, of one clock cycle: totals since reset, and `cores`, a list of each core's."""
        self.registers.write("control", snapshot=1, keep=int(self._keep))
        return self.registers.counters()

    def soft_reset(self) -> None:
        """The state after reset, whatever the core does; packets that wait or are in flight are dropped.

        The thresholds stay, what was kept does not.
        """
        self.registers.write("control", soft_reset=1)
        self._transport.discard()
        self._keep, self._kept = False, None

    def _state(self) -> str:
        """What stands still, for a person."""
        status, counters = self.registers.read("status"), self.counters()
        state = next(name for name in ("busy", "done", "idle") if status[name])
        unsent = self._transport.unsent().items()
        waiting = [f"s_axis_{name} has {count} packets to take" for name, count in unsent if count]
        waiting = waiting or ["every packet that was sent has been taken"]
        stalls = ", ".join(f"{name} {counters[name]}" for name in ("cycles_busy", "stalled_input", "stalled_output"))
        errors = ", ".join(self.registers.error_bits()) or "none"
        return "; ".join([f"the core is {state}", *waiting, stalls, f"errors: {errors}"])
