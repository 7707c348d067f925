"""Emission: reproducible, complete, described, and never half-written."""

import json
import re
from pathlib import Path

import pytest

from latte_hw.config import LatteConfig
from latte_hw.config.errors import LatteError
from latte_hw.config.presets import preset
from latte_hw.emit import head as emit
from latte_hw.params import HeadParams

ROOT = Path(__file__).parents[2]
STREAMS = ("i_table", "i_load", "i_k", "i_v", "i_job", "i_q", "o_out")
PORTS = ["clk", "rst", "o_counters", *(f"{name}_{part}" for name in STREAMS for part in ("payload", "ready", "valid"))]


def top_ports(verilog: str) -> list[str]:
    """Port names of the top module, sorted."""
    header = re.search(rf"module {emit.TOP}\(([^)]*)\)", verilog)
    assert header is not None
    return sorted(name.strip() for name in header.group(1).split(","))


@pytest.mark.parametrize("name", ["tiny", "gpt2"])
def test_committed_verilog_is_what_is_emitted_today(name: str, tmp_path: Path) -> None:
    emitted = emit.generate(preset(name), tmp_path)
    for path in (emitted.verilog, emitted.description):
        committed = ROOT / "rtl_out" / name / path.name
        assert path.read_text() == committed.read_text(), f"{committed} is out of date: make rtl"


def test_emission_is_byte_identical_on_every_run(tmp_path: Path) -> None:
    first, second = (emit.generate(preset("tiny"), tmp_path / run) for run in ("first", "second"))
    assert first.verilog.read_bytes() == second.verilog.read_bytes()
    assert first.description.read_bytes() == second.description.read_bytes()


def test_a_yosys_of_the_machine_does_not_change_the_verilog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FPGA engineers have one; versions of Yosys write the same modules in other words."""
    here = emit.generate(preset("tiny"), tmp_path / "here").verilog.read_text()
    other = tmp_path / "yosys"
    other.write_text(
        "#!/bin/sh\ntest \"$1\" = -V && echo 'Yosys 0.64 (git sha1 0)' || echo 'module other(); endmodule'\n"
    )
    other.chmod(0o755)
    monkeypatch.setenv("YOSYS", str(other))
    assert emit.generate(preset("tiny"), tmp_path / "there").verilog.read_text() == here


def test_port_names_are_a_contract() -> None:
    assert top_ports(emit.to_verilog(emit.build_head(preset("tiny")))) == sorted(PORTS)


def test_taps_come_only_when_asked_for() -> None:
    shipped = emit.to_verilog(emit.build_head(preset("tiny")))
    tapped = emit.to_verilog(emit.build_head(preset("tiny"), taps=True))
    assert "tap_" not in shipped
    stages = ("estimate", "kept", "score", "prob")
    taps = [f"tap_{stage}_{part}" for stage in stages for part in ("payload", "valid")]
    assert top_ports(tapped) == sorted([*PORTS, *taps])


def test_hierarchy_reads_like_the_block_diagram() -> None:
    text = emit.to_verilog(emit.build_head(preset("tiny")))
    for block in ("store", "sequencer", "estimator", "filter", "reuse", "softmax", "weighted_sum"):
        assert re.search(rf"module \\{emit.TOP}\.{block} ", text), block


def test_description_holds_configuration_ports_and_latencies(tmp_path: Path) -> None:
    config = preset("tiny").replace(rule="static")
    description = json.loads(emit.generate(config, tmp_path).description.read_text())
    assert LatteConfig.model_validate(description["config"]) == config
    assert description["config_sha256"] == config.sha256()
    params = HeadParams(config)
    assert description["latencies"]["estimator"] == params.latency.estimator
    threshold = next(f for f in description["ports"]["i_table"]["fields"] if f["name"] == "threshold")
    assert threshold == {
        "name": "threshold",
        "offset": params.widths.head_bits,
        "width": params.widths.threshold_bits,
        "signed": True,
        "count": 1,
    }
    for name, port in description["ports"].items():
        assert port["width"] == sum(field["width"] * field["count"] for field in port["fields"]), name


def test_every_field_changes_the_hash() -> None:
    base = preset("tiny")
    changes = {
        "head_dim": 16, "max_keys": 64, "keys_per_cycle": 4, "msb_bits": 3, "split": "truncate", "reuse": "exact",
        "rule": "static", "causal": False, "prob_bits": 10, "out_fraction_bits": 2, "heads": 5, "kv_buffers": 1,
        "dot": "multipliers", "queries_per_scan": 2, "kept_per_cycle": 2, "pipeline": "large", "output_slices": 1,
        "table_dims": 3, "table_queries": 1, "adders_per_register": {"table_dims": 3, "adders_per_register": 2},
        "reuse_dot": "multipliers", "reuse_table_dims": 3, "reuse_table_queries": 1,
        "reuse_adders_per_register": {"reuse_table_dims": 3, "reuse_adders_per_register": 2},
    }  # fmt: skip
    assert set(changes) == set(LatteConfig.model_fields)
    changed = [value if isinstance(value, dict) else {name: value} for name, value in changes.items()]
    hashes = {base.replace(**fields).sha256() for fields in changed}
    assert len(hashes | {base.sha256()}) == len(changes) + 1


def test_zero_memories_are_initialised_in_a_loop() -> None:
    text = emit.to_verilog(emit.build_head(preset("tiny")))
    assert not re.search(r"^    \S+ ?\[\d+\] = \d+'(h0+|d0);", text, re.MULTILINE)
    loops = re.findall(r"for \(word = 0; word < (\d+); word = word \+ 1\)\n\s+(\S+ ?)\[word\] = \d+'h0;", text)
    last_words = re.findall(r"reg (?:\[\d+:0\] )?(\S+) +\[(\d+):0\];", text)
    assert len(loops) > 10
    for count, name in loops:
        assert (name.strip(), str(int(count) - 1)) in last_words


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LatteError, match=r"output folder .*file cannot be written: "):
        emit.generate(preset("tiny"), tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
