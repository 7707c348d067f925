"""The driver over mapped memory and DMA engines, against a model of both: results, errors, time-outs."""

import itertools
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.attention import attention
from golden.files.stimuli import random_trace
from golden.files.tensors import TensorFile, from_arrays
from latte_hw import driver
from latte_hw.config.errors import LatteError
from latte_hw.config.top import TopConfig
from latte_hw.driver import mapped, memory
from latte_hw.driver.mapped import copy_words
from latte_hw.driver.memory import (
    MM2S,
    S2MM,
    MappedBuffer,
    MappedWindow,
    MemoryTransport,
    UioInterrupt,
    dma_buffer,
)
from latte_hw.system.events import COUNTERS
from sim.top.dma_model import CoreModel, EngineModel, Memory, ModelInterrupt

CONFIG = TopConfig(head_dim=8, max_keys=16, keys_per_cycle=2, causal=True, cores=2)
SIZE = 1024


@dataclass
class Setup:
    core: CoreModel
    transport: MemoryTransport
    latte: driver.Latte


CORE, CHANNELS = "core", ("q", "k", "v", "o")
"""What may have an interrupt."""


def set_up(
    config: TopConfig = CONFIG,
    made_for: TopConfig | None = None,
    buffer: int = SIZE,
    irqs: tuple[str, ...] = (),
    engine: dict[str, Any] | None = None,
    wrong: tuple[str, ...] = ("q", "k", "v"),
    **options: Any,
) -> Setup:
    """Three engines; that of q takes the output, too. The driver is made for `made_for`.

    What is in `irqs` has an interrupt; `engine` describes the engines of the streams in `wrong`.
    """
    core, whole = CoreModel(config), bytearray(4 * max(SIZE, buffer))
    engines = {name: EngineModel(core, name, whole, **(engine or {}) if name in wrong else {}) for name in "qkv"}
    buffers = [Memory(whole, place * len(whole) // 4, buffer) for place in range(4)]
    lines = {CORE: lambda: core.irq, "o": lambda: engines["q"].irq(0x30)}
    lines |= {name: partial(one.irq, 0x00) for name, one in engines.items()}
    interrupts = {name: ModelInterrupt(lines[name]) for name in irqs}
    inputs = {name: MM2S(one, buffers[i], interrupts.get(name)) for i, (name, one) in enumerate(engines.items())}
    output = S2MM(engines["q"], buffers[3], interrupts.get("o"))
    transport = MemoryTransport(core, inputs, output, **{"poll_seconds": 0, "irq": interrupts.get(CORE)} | options)
    return Setup(core, transport, driver.Latte(transport, made_for or config, timeout=0.02))


def tensors(config: TopConfig = CONFIG, seed: int = 1) -> TensorFile:
    return from_arrays(random_trace(config, seed, 4, 2, 5, 9), config)


def attend(setup: Setup, layer: TensorFile, **options: object) -> np.ndarray:
    entries = [(int(t), int(m), int(s)) for t, (m, s) in zip(layer.tau_int, layer.softmax_scale, strict=True)]
    setup.latte.load_entries(entries)
    return setup.latte.attention(layer.q8, layer.k8, layer.v8, **options)


@pytest.mark.parametrize(
    "changes",
    [
        *({}, {"out_fraction_bits": 3}, {"causal": False}, {"rule": "static"}),
        *({"packets": "layer"}, {"packets": "layer", "out_fraction_bits": 3}),
    ],
    ids=str,
)
def test_layers_equal_golden(changes: dict) -> None:
    config = CONFIG.replace(**changes)
    setup = set_up(config)
    for seed in (1, 2):
        layer = tensors(config, seed)
        out = attend(setup, layer)
        expected = attention(layer, config)["out"]
        assert out.dtype == (np.int8 if not config.out_fraction_bits else np.int16)
        assert (out == expected).all()
    assert setup.transport.unsent() == {"q": 0, "k": 0, "v": 0}


def test_a_causal_core_runs_a_layer_without_a_mask() -> None:
    layer, open_config = tensors(), CONFIG.replace(causal=False)
    out = attend(set_up(), layer, causal=False)
    assert (out == attention(layer, open_config)["out"]).all()
    with pytest.raises(LatteError, match="a causal layer needs a core with causal=true"):
        attend(set_up(open_config), layer, causal=True)


@pytest.mark.parametrize("bit", ["q_short", "k_long", "v_hole", "length_zero", "length_too_large", "busy_write"])
def test_sticky_bits_are_typed_errors_and_the_next_layer_is_right(bit: str) -> None:
    types = {
        "q_short": driver.ShortPacketError,
        "k_long": driver.LongPacketError,
        "v_hole": driver.HoleError,
        "busy_write": driver.BusyError,
    }
    setup, layer = set_up(), tensors()
    setup.core.errors = {bit: 1}
    with pytest.raises(types.get(bit, driver.LengthError), match=rf"^{bit}: ") as raised:
        attend(setup, layer)
    assert raised.value.bits == (bit,)
    assert (attend(setup, layer) == attention(layer, CONFIG)["out"]).all()


def test_other_cores_are_refused() -> None:
    with pytest.raises(driver.UnknownCoreError, match="made of another configuration"):
        set_up(made_for=CONFIG.replace(stream_bits=128))
    setup = set_up()
    for path, sentence in (("version", "this driver is for cores of version"), ("id", "no LATTE core answers")):
        setup.core.words[setup.core.view.address(path)] ^= 0x0101_0100
        with pytest.raises(driver.UnknownCoreError, match=sentence):
            driver.Latte(setup.transport, CONFIG)


def test_a_packet_that_does_not_come_is_a_stall_and_a_soft_reset_fixes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    setup, layer = set_up(), tensors()
    send = setup.transport.send
    lost = itertools.count()
    monkeypatch.setattr(
        setup.transport, "send", lambda name, packet: None if name == "k" and next(lost) else send(name, packet)
    )
    sentence = "nothing has moved for 0.02 s: 0 of 4 output packets have come; the core is busy; every packet"
    with pytest.raises(driver.StallError, match=sentence):
        attend(setup, layer)
    monkeypatch.undo()
    with pytest.raises(driver.StallError, match="still busy with an earlier command"):
        attend(setup, layer)
    setup.latte.soft_reset()
    assert (attend(setup, layer) == attention(layer, CONFIG)["out"]).all()


def test_dma_faults_are_reported() -> None:
    with pytest.raises(driver.BusError, match="a packet of 72 bytes does not fit the DMA buffer of 64"):
        attend(set_up(buffer=64), tensors())
    setup = set_up()
    for channel in setup.transport._inputs.values():
        channel._buffer.address = 1 << 33
        channel._buffer.write = lambda _content: None
    with pytest.raises(
        driver.BusError, match="the DMA engine of s_axis_k stopped with status 0x00000021: is its buffer"
    ):
        attend(setup, tensors())


def test_a_fault_of_the_dma_leaves_the_core_ready() -> None:
    setup, layer = set_up(), tensors()
    buffer = setup.transport._inputs["v"]._buffer
    address, buffer.address = buffer.address, 1 << 33
    write, buffer.write = buffer.write, lambda _content: None
    with pytest.raises(driver.BusError, match="of s_axis_v stopped"):
        attend(setup, layer)
    buffer.address, buffer.write = address, write
    assert (attend(setup, layer) == attention(layer, CONFIG)["out"]).all()


NARROW = TopConfig(head_dim=64, max_keys=256, keys_per_cycle=2, causal=True)
"""A whole packet has 16,384 bytes: the low 14 bits of its length are 0."""


@pytest.mark.parametrize("keys", [256, 255, 3])
@pytest.mark.parametrize("stream", ["k", "q"])
def test_an_engine_with_a_narrow_length_register_is_named(keys: int, stream: str) -> None:
    """14 bits start nothing of 256 rows; one bit too few of others is another length."""
    bits = 14 if keys == 256 else (64 * keys).bit_length() - 1
    setup = set_up(NARROW, buffer=1 << 15, engine={"length_bits": bits}, wrong=(stream,))
    layer = from_arrays(random_trace(NARROW, 1, 1, 1, keys, keys), NARROW)
    sentence = (
        f"the DMA engine of s_axis_{stream} does not move {64 * keys} bytes at a time: "
        f"its Width of Buffer Length Register must be at least {bits + 1} bits"
    )
    with pytest.raises(driver.DmaLengthError, match=sentence):
        attend(setup, layer)
    small = from_arrays(random_trace(NARROW, 2, 1, 1, 1, 1), NARROW)
    assert (attend(setup, small) == attention(small, NARROW)["out"]).all(), "what fits is right at once"


def test_an_output_engine_with_a_narrow_length_register_is_named() -> None:
    """Output elements of 16 bits make packets twice as long as those of q, on the same engine."""
    config = CONFIG.replace(out_fraction_bits=3)
    setup, layer = set_up(config, engine={"length_bits": 6}, wrong=("q",)), tensors(config)
    sentence = "the DMA engine of m_axis_o does not move 80 bytes at a time: .* must be at least 7 bits"
    with pytest.raises(driver.DmaLengthError, match=sentence):
        attend(setup, layer)


def test_a_shorter_output_packet_is_not_taken_for_a_narrow_register() -> None:
    setup, layer = set_up(), tensors()
    setup.core.outputs.append(b"left over")  # there before it is asked for: its length is what is read back
    with pytest.raises(driver.StallError, match="output packet 0 has 9 bytes, not 40"):
        attend(setup, layer)


def test_an_output_packet_that_is_too_long() -> None:
    setup, layer = set_up(), tensors()
    setup.core.outputs.append(bytes(41))
    with pytest.raises(driver.BusError, match="m_axis_o stopped with status 0x00000011: a packet was longer"):
        attend(setup, layer)
    assert (attend(setup, layer) == attention(layer, CONFIG)["out"]).all()


def test_engines_for_scatter_gather_are_refused() -> None:
    with pytest.raises(driver.BusError, match="the DMA engine of s_axis_q must have no scatter-gather engine"):
        set_up(engine={"scatter_gather": True})


# --- interrupts -------------------------------------------------------------------------------------------------------

EVERYTHING = (CORE, *CHANNELS)


@pytest.mark.parametrize(
    ("irqs", "changes"),
    [
        ((), {}),
        (EVERYTHING, {}),
        (EVERYTHING, {"packets": "layer"}),
        ((CORE,), {}),
        ((CORE,), {"packets": "layer"}),
        ((CORE, "o"), {}),
        (("q", "k", "v", "o"), {"packets": "layer"}),
    ],
    ids=str,
)
def test_completion_by_interrupt(irqs: tuple[str, ...], changes: dict) -> None:
    """A wait that no interrupt ends would take 5 s."""
    config = CONFIG.replace(**changes)
    setup = set_up(config, irqs=irqs, longest_wait=5.0)
    begun = time.monotonic()
    for seed in (1, 2):
        layer = tensors(config, seed)
        out = attend(setup, replace(layer, k8=layer.k8[:, :-1], v8=layer.v8[:, :-1]), keep=True, causal_offset=4)
        before = replace(layer, k8=layer.k8[:, :-1], v8=layer.v8[:, :-1], causal_offset=4)
        assert (out == attention(before, config)["out"]).all()
        row = setup.latte.append(layer.q8[:, 0], layer.k8[:, -1], layer.v8[:, -1])
        token = replace(layer, q8=layer.q8[:, :1], causal_offset=layer.k8.shape[1])
        assert (row[:, None] == attention(token, config)["out"]).all()
    assert time.monotonic() - begun < 2
    assert not any(setup.core.get("irq_enable").values()), "enabled only while a command runs"
    assert not setup.core.irq


def test_a_refused_layer_is_reported_by_the_interrupt() -> None:
    setup, layer = set_up(irqs=(CORE,), longest_wait=5.0), tensors()
    setup.core.errors = {"length_zero": 1}
    with pytest.raises(driver.LengthError, match="length_zero"):
        attend(setup, layer)
    assert setup.core.get("irq_status") == {"done": 0, "error": 0}
    assert (attend(setup, layer) == attention(layer, CONFIG)["out"]).all()


def test_a_stall_is_found_although_no_interrupt_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = set_up(irqs=EVERYTHING, longest_wait=0.01)
    monkeypatch.setattr(setup.transport, "send", lambda *_: None)
    with pytest.raises(driver.StallError, match=r"nothing has moved for 0\.02 s"):
        attend(setup, tensors())


def test_a_long_layer_in_one_packet_is_no_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows go on coming while no packet moves, but for the last time."""
    config = CONFIG.replace(packets="layer")
    setup, layer = set_up(config), tensors(config)
    rows = iter([3, 8, 11, 15, 15])
    monkeypatch.setattr(setup.transport, "receive", lambda _size: None)
    monkeypatch.setattr(setup.latte, "counters", lambda: dict.fromkeys(COUNTERS, 0) | {"queries": next(rows)})
    monkeypatch.setattr(setup.latte, "_state", lambda: "its state")
    with pytest.raises(driver.StallError, match="0 of 1 output packets have come; its state"):
        attend(setup, layer)
    assert list(rows) == []


class UioFile:
    """The other end of a UIO device file: what the kernel does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kernel, self.file = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.kernel.setblocking(False)
        monkeypatch.setattr(mapped.os, "open", lambda *_: self.file.fileno())

    def enabled(self) -> int:
        """How often a 1 has been written since the last time."""
        times = 0
        while True:
            try:
                word = self.kernel.recv(8)
            except BlockingIOError:
                return times
            assert (len(word), int.from_bytes(word, sys.byteorder)) == (4, 1)
            times += 1

    def come(self) -> None:
        self.kernel.send((1).to_bytes(4, sys.byteorder))


@pytest.fixture
def uio(monkeypatch: pytest.MonkeyPatch) -> Iterator[UioFile]:
    file = UioFile(monkeypatch)
    yield file
    file.kernel.close()
    file.file.close()


def test_the_interrupt_of_a_uio_device(uio: UioFile) -> None:
    interrupt = UioInterrupt("/dev/uio0")
    assert memory._wait_any([interrupt], 0.01) == []
    assert uio.enabled() == 1
    uio.come()
    assert memory._wait_any([interrupt], 5) == [interrupt]
    assert uio.enabled() == 1
    threading.Timer(0.05, uio.come).start()
    begun = time.monotonic()
    assert memory._wait_any([interrupt], 5) == [interrupt]
    assert time.monotonic() - begun < 2
    uio.kernel.close()
    with pytest.raises(driver.BusError, match=r"/dev/uio0 has no interrupt \(.*\): name it in the device tree"):
        interrupt.enable()


def test_a_layer_by_the_interrupt_of_a_uio_device(uio: UioFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """The core's interrupt alone, with packets of layers. The kernel lets it come once for each time it is enabled."""
    config = CONFIG.replace(packets="layer")
    interrupt = UioInterrupt("/dev/uio0")
    setup = set_up(config, irq=interrupt, longest_wait=5.0)
    enable = interrupt.enable

    def enable_and_come() -> None:
        enable()
        assert uio.enabled() == 1
        if setup.core.irq:
            uio.come()

    monkeypatch.setattr(interrupt, "enable", enable_and_come)
    for seed in (1, 2):
        layer = tensors(config, seed)
        assert (attend(setup, layer) == attention(layer, config)["out"]).all()


def test_a_uio_device_that_is_not_there() -> None:
    with pytest.raises(driver.BusError, match="/dev/none cannot be opened: No such file or directory"):
        UioInterrupt("/dev/none")


# --- memory -----------------------------------------------------------------------------------------------------------


def test_mapped_files(tmp_path: Path) -> None:
    """Any file can be mapped as a device file is."""
    file = tmp_path / "memory"
    file.write_bytes(bytes(8192))
    window, buffer = MappedWindow(str(file), 4096, 4096), MappedBuffer(str(file), 0x1000, 4096, 4096)
    window.write32(8, 0x0403_0201)
    assert file.read_bytes()[4104:4108] == bytes([1, 2, 3, 4])
    assert window.read32(8) == 0x0403_0201
    for size in (*range(40), 4093, 4096):
        content = bytes(np.random.default_rng(size).integers(1, 256, size, np.uint8))
        buffer.write(content)
        assert buffer.read(size) == content
        assert file.read_bytes()[4096 : 4096 + size] == content
    with pytest.raises(driver.BusError, match="cannot be mapped at 0x0"):
        MappedWindow(str(tmp_path / "none"), 0, 4096)


def udmabuf(root: Path, **changes: Any) -> Path:
    """A file system with a buffer of u-dma-buf, two pages long."""
    folder = root / "sys" / "class" / "u-dma-buf" / "udmabuf0"
    folder.mkdir(parents=True, exist_ok=True)
    for name, fact in ({"phys_addr": "0x70000000", "size": 8192, "sync_mode": 1, "dma_coherent": 0} | changes).items():
        (folder / name).write_text(f"{fact}\n")
    (root / "dev").mkdir(exist_ok=True)
    (root / "dev" / "udmabuf0").write_bytes(bytes(8192))
    return root


@pytest.mark.parametrize(("mode", "coherent"), [(1, 0), (2, 0), (5, 0), (6, 0), (0, 1), (1, 1)])
def test_a_buffer_of_u_dma_buf(tmp_path: Path, mode: int, coherent: int) -> None:
    root = udmabuf(tmp_path, sync_mode=mode, dma_coherent=coherent)
    buffer = dma_buffer("udmabuf0", 4000, 4096, root)
    assert (buffer.address, buffer.size) == (0x7000_1000, 4000)
    buffer.write(b"row")
    assert (root / "dev" / "udmabuf0").read_bytes()[4096:4100] == b"row\0"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sync_mode": 0}, r"udmabuf0 would be cached, .* sync_mode must be 1 or 2, not 0"),
        ({"sync_mode": 4}, "sync_mode must be 1 or 2, not 4"),
        ({"size": 4096}, "udmabuf0 must have at least 8192 bytes, not 4096"),
        ({"phys_addr": "none"}, r"there is no buffer udmabuf0 of u-dma-buf: .*phys_addr: not a number"),
    ],
)
def test_a_buffer_of_u_dma_buf_that_would_not_do(tmp_path: Path, changes: dict, sentence: str) -> None:
    with pytest.raises(driver.BusError, match=sentence):
        dma_buffer("udmabuf0", 4096, 4096, udmabuf(tmp_path, **changes))
    with pytest.raises(driver.BusError, match=r"there is no buffer other of u-dma-buf: .*: No such file"):
        dma_buffer("other", 4096, 0, tmp_path)


def test_words_are_copied_one_by_one() -> None:
    for count in range(9):
        to, source = np.full(9, 7, np.uint64), np.arange(1, count + 1, dtype=np.uint64)
        copy_words(to, source)
        assert to.tolist() == [*range(1, count + 1), *[7] * (9 - count)]


# --- registers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ((-1, 1, 1), r"head_table\[1\]\.threshold\.threshold must be from 0 to \d+, not -1"),
        ((1 << 20, 1, 1), r"head_table\[1\]\.threshold\.threshold must be from 0 to \d+, not 1048576"),
        ((1, 1 << 16, 1), r"head_table\[1\]\.scale\.mantissa must be from 0 to 65535, not 65536"),
        ((1, 1, -1), r"head_table\[1\]\.scale\.shift must be from 0 to 63, not -1"),
        ((1.5, 1, 1), r"register of head 1 must be an integer, not 1\.5"),
        ((float("nan"), 1, 1), "register of head 1 must be an integer, not nan"),
        (("1", 1, 1), "register of head 1 must be an integer, not '1'"),
        ((True, 1, 1), "register of head 1 must be an integer, not True"),
        ((1, 1), r"an entry must be threshold, mantissa and shift, not \(1, 1\)"),
    ],
)
def test_entries_that_fit_no_register_leave_the_table_alone(entry: tuple, sentence: str) -> None:
    setup = set_up()
    before = dict(setup.core.words)
    with pytest.raises(LatteError, match=sentence):
        setup.latte.load_entries([(5, 6, 7), entry])
    assert setup.core.words == before


@pytest.mark.parametrize("tau", [-1.0, float("nan"), float("inf"), 1e300, 10**400, "1", True, None])
def test_thresholds_that_are_none_leave_the_table_alone(tau: object) -> None:
    setup = set_up()
    before = dict(setup.core.words)
    with pytest.raises(LatteError, match=r"^thresholds must be "):
        setup.latte.load_thresholds([1.0, tau], scale_q=[1.0, 1.0], scale_k=[1.0, 1.0])
    assert setup.core.words == before


@pytest.mark.parametrize("offset", [2**70, -(2**70), np.uint64(2**64 - 1), np.int64(-(2**63))])
def test_a_causal_offset_of_any_size(offset: int) -> None:
    setup, layer = set_up(), tensors()
    out = attend(setup, layer, causal_offset=offset)
    far = replace(layer, causal_offset=16 if offset > 0 else -16)
    assert (out == attention(far, CONFIG)["out"]).all()


@pytest.mark.parametrize("offset", [1.5, "1", True, float("inf")])
def test_a_causal_offset_that_is_no_integer(offset: object) -> None:
    with pytest.raises(LatteError, match="causal_offset must be an integer, not"):
        attend(set_up(), tensors(), causal_offset=offset)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"description .*top.json cannot be read: No such file"),
        ("{", r"description .*top.json is not JSON"),
        ("[" * 100_000, r"description .*top.json must not nest"),
        ("[]", r"description .*top.json must hold a JSON object"),
        ("{}", r"description .*top.json is none that latte generate --core top wrote: config is missing"),
        ('{"config": 5}', r"description .*top.json: a configuration must be a JSON object of fields, not 5"),
        ('{"config": {"cores": true}}', r"description .*top.json: cores must not be a truth value"),
        ('{"config": {"cores": 9}}', r"description .*top.json: cores must be from 1 to 8, not 9"),
    ],
    ids=["none", "cut", "deep", "list", "other", "number", "truth value", "too many"],
)
def test_descriptions_that_are_none(tmp_path: Path, content: str | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / "top.json").write_text(content)
    with pytest.raises(LatteError, match=sentence):
        driver.Latte.of_description(set_up().transport, tmp_path / "top.json")
