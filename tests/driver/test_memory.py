"""The driver over mapped memory and DMA engines, against a model of both: results, errors, time-outs."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from golden.attention import attention
from golden.files.stimuli import random_trace
from golden.files.tensors import TensorFile, from_arrays
from latte_hw import driver
from latte_hw.config.errors import LatteError
from latte_hw.config.top import TopConfig
from latte_hw.driver.memory import MM2S, S2MM, MappedBuffer, MappedWindow, MemoryTransport
from sim.top.dma_model import CoreModel, EngineModel, Memory

CONFIG = TopConfig(head_dim=8, max_keys=16, keys_per_cycle=2, causal=True, cores=2)
SIZE = 1024


@dataclass
class Setup:
    core: CoreModel
    transport: MemoryTransport
    latte: driver.Latte


def set_up(config: TopConfig = CONFIG, made_for: TopConfig | None = None, buffer: int = SIZE) -> Setup:
    """Three engines; that of q takes the output, too. The driver is made for `made_for`."""
    core, memory = CoreModel(config), bytearray(4 * SIZE)
    engines = {name: EngineModel(core, name, memory) for name in "qkv"}
    buffers = [Memory(memory, place * SIZE, buffer) for place in range(4)]
    inputs = {name: MM2S(engine, buffers[i]) for i, (name, engine) in enumerate(engines.items())}
    transport = MemoryTransport(core, inputs, S2MM(engines["q"], buffers[3]), poll_seconds=0)
    return Setup(core, transport, driver.Latte(transport, made_for or config, timeout=0.02))


def tensors(config: TopConfig = CONFIG, seed: int = 1) -> TensorFile:
    return from_arrays(random_trace(config, seed, 4, 2, 5, 9), config)


def attend(setup: Setup, layer: TensorFile, **options: object) -> np.ndarray:
    entries = [(int(t), int(m), int(s)) for t, (m, s) in zip(layer.tau_int, layer.softmax_scale, strict=True)]
    setup.latte.load_entries(entries)
    return setup.latte.attention(layer.q8, layer.k8, layer.v8, **options)


@pytest.mark.parametrize("changes", [{}, {"out_fraction_bits": 3}, {"causal": False}, {"rule": "static"}], ids=str)
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
    with pytest.raises(driver.BusError, match="a DMA engine stopped with status 0x00000021"):
        attend(setup, tensors())


def test_mapped_files(tmp_path: Path) -> None:
    """Any file can be mapped as a device file is."""
    file = tmp_path / "memory"
    file.write_bytes(bytes(8192))
    window, buffer = MappedWindow(str(file), 4096, 4096), MappedBuffer(str(file), 0x1000, 4096, 4096)
    window.write32(8, 0x0403_0201)
    assert file.read_bytes()[4104:4108] == bytes([1, 2, 3, 4])
    assert window.read32(8) == 0x0403_0201
    buffer.write(b"row")
    assert (buffer.read(3), file.read_bytes()[4096:4099]) == (b"row", b"row")
    with pytest.raises(driver.BusError, match="cannot be mapped at 0x0"):
        MappedWindow(str(tmp_path / "none"), 0, 4096)
