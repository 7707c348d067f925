"""The multi-head core as Verilog is as clean as a head: Verilator's lint, and no latch, loop or driver too many."""

from pathlib import Path

import pytest

from latte_hw.config.top import TopConfig
from latte_hw.emit.head import component_to_verilog
from latte_hw.system.multihead import MultiHead
from sim.simulators import runner, yosys_check

TINY = TopConfig(head_dim=8, max_keys=16, keys_per_cycle=2, causal=True)
CONFIGURATIONS = {
    "one core": TINY,
    "three cores": TINY.replace(cores=3, stream_bits=512),
    "pairs of kept keys": TINY.replace(cores=2, kept_per_cycle=2),
    "odd": TINY.replace(head_dim=12, cores=2, kv_buffers=1, out_fraction_bits=3, keys_per_cycle=1, max_keys=5),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_verilog_is_clean(name: str, tmp_path: Path) -> None:
    path = tmp_path / "multihead.v"
    path.write_text(component_to_verilog(MultiHead(CONFIGURATIONS[name]), "multihead", {}))
    assert runner.lint(path) == ""
    assert yosys_check.check(path, "multihead") == ""
