"""The command, the snippet and the table of docs/dma.md, on models of a core and of DMA engines."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.attention import attention
from golden.files.stimuli import random_trace
from golden.files.tensors import from_arrays
from latte_hw.config import Core
from latte_hw.config.loading import resolve_config
from latte_hw.config.top import TopConfig
from latte_hw.driver import memory
from latte_hw.driver.layers import packets_of
from sim.top.dma_model import CoreModel, EngineModel, Memory, ModelInterrupt

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "dma.md").read_text()
ENGINES = {0x4040_0000: "q", 0x4041_0000: "k", 0x4042_0000: "v"}


def config_of_the_page() -> TopConfig:
    (command,) = re.findall(r"^\$ (latte generate .*)$", PAGE, re.M)
    words = shlex.split(command)
    settings = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    config = resolve_config(words[words.index("--preset") + 1], None, settings, core=Core.TOP)
    assert isinstance(config, TopConfig)
    return config


def test_a_layer_by_the_snippet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of_the_page()
    (tmp_path / "build" / "whole").mkdir(parents=True)
    description = json.dumps({"config": config.model_dump(mode="json")})
    (tmp_path / "build" / "whole" / "latte_top.json").write_text(description)
    core, whole = CoreModel(config), bytearray(1 << 22)
    engines: dict[int, Any] = {base: EngineModel(core, stream, whole) for base, stream in ENGINES.items()}
    monkeypatch.setattr(memory, "MappedWindow", lambda path, base, _: core if path == "/dev/uio0" else engines[base])
    monkeypatch.setattr(memory, "dma_buffer", lambda _, size, base: Memory(whole, base, size))
    monkeypatch.setattr(memory, "UioInterrupt", lambda _: ModelInterrupt(lambda: core.irq))
    monkeypatch.chdir(tmp_path)
    (snippet,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    names: dict[str, Any] = {}
    exec(compile(snippet, "docs/dma.md", "exec"), names)
    layer = from_arrays(random_trace(config, 1, 4, 2, 5, 9), config)
    entries = np.column_stack([layer.tau_int, layer.softmax_scale]).tolist()
    names["latte"].load_entries([tuple(entry) for entry in entries])
    out = names["latte"].attention(layer.q8, layer.k8, layer.v8)
    assert (out == attention(layer, config)["out"]).all()
    assert names["transport"].expect(1), "the transport waits for irq"


@pytest.mark.parametrize(("packets", "row"), [("head", 1), ("layer", 2)])
def test_transfers_and_their_bytes(packets: str, row: int) -> None:
    """The table's formulas are those of the driver."""
    config = config_of_the_page().replace(packets=packets, max_keys=32)
    heads, kv_heads, rows = 6, 3, config.max_keys
    q, k = np.zeros((heads, rows, config.head_dim), np.int8), np.zeros((kv_heads, rows, config.head_dim), np.int8)
    carried = [packets_of(x, config) for x in (q, k, k, q)]
    cells = re.findall(r"^\| (?:transfers|bytes of the largest) \| (.*) \| (.*) \|$", PAGE, re.M)
    transfers, largest = (cell[row - 1] for cell in cells)
    words = {"query heads": heads, "K/V heads": kv_heads, "heads": heads}
    words |= {"`max_keys`": rows, "`head_dim`": config.head_dim}
    for word, number in words.items():
        transfers, largest = transfers.replace(word, str(number)), largest.replace(word, str(number))
    assert sum(map(len, carried)) == eval(transfers.replace("·", "*"))
    assert max(len(packet) for part in carried for packet in part) == eval(largest.replace("·", "*"))
