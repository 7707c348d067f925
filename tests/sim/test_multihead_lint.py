"""The multi-head core as Verilog is as clean as a head: Verilator's lint, and no latch, loop or driver too many."""

from pathlib import Path

import pytest
from amaranth.back import verilog
from amaranth.hdl import Fragment, Value

from latte_hw.emit import _direction, without_garbage_collection
from latte_hw.multihead import MultiHead
from latte_hw.top_config import TopConfig
from sim import runner, yosys_check

TINY = TopConfig(head_dim=8, max_keys=16, keys_per_cycle=2, causal=True)
CONFIGURATIONS = {
    "one core": TINY,
    "three cores": TINY.replace(cores=3, stream_bits=512),
    "pairs of kept keys": TINY.replace(cores=2, kept_per_cycle=2),
    "odd": TINY.replace(head_dim=12, cores=2, kv_buffers=1, out_fraction_bits=3, keys_per_cycle=1, max_keys=5),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_verilog_is_clean(name: str, tmp_path: Path) -> None:
    core = MultiHead(CONFIGURATIONS[name])
    ports = {
        "_".join(str(part) for part in path): (Value.cast(value), _direction(member))
        for path, member, value in core.signature.flatten(core)
    }
    path = tmp_path / "multihead.v"
    with without_garbage_collection():
        fragment = Fragment.get(core, None)
        text = verilog.convert(fragment, name="multihead", ports=ports, emit_src=False, strip_internal_attrs=True)
    path.write_text(text)
    assert runner.lint(path) == ""
    assert yosys_check.check(path, "multihead") == ""
