"""The dense core's own configuration: the fields it has, what remains of others, the sentence for each mistake."""

import json
import re
from pathlib import Path

import pytest

from latte_hw.config import Core, CoreConfig, Datapath, DenseConfig, LatteConfig, Wrapper
from latte_hw.config.dot import DOT_CHOICES
from latte_hw.config.errors import LatteError
from latte_hw.config.loading import CONFIGS, build_config, check_head_core, resolve_config
from latte_hw.config.presets import PRESETS
from latte_hw.config.top import TopConfig
from latte_hw.params.dense import DenseParams, params_of, port_params

PRUNING = {
    "keys_per_cycle": ("4", "has no estimate"),
    "msb_bits": ("4", "has no estimate"),
    "split": ("balanced", "has no estimate"),
    "rule": ("static", "drops no key"),
    "kept_per_cycle": ("2", "drops no key"),
    "reuse": ("exact", "completes no score"),
    "reuse_dot": ("tables", "completes no score"),
    "reuse_table_dims": ("3", "completes no score"),
    "reuse_table_queries": ("1", "completes no score"),
    "reuse_adders_per_register": ("1", "completes no score"),
}
"""Field to a value that a LATTE core takes, and why a dense one does not."""


def refuse(sentence: str):
    return pytest.raises(LatteError, match=f"^{re.escape(sentence)}$")


def dense(*settings: str, preset: str | None = "gpt2") -> CoreConfig:
    return resolve_config(preset, None, list(settings), core=Core.DENSE)


def test_any_number_of_keys():
    config = dense("max_keys=577", preset="deit-b16-384")
    assert (type(config), config.max_keys) == (DenseConfig, 577)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_what_remains_of_its_fields(name: str):
    config = dense(preset=name)
    assert config == DenseConfig.of(PRESETS[name])
    assert config.model_dump().items() <= PRESETS[name].model_dump().items()


def test_what_is_not_in_it_belongs_to_pruning_or_to_its_port():
    assert set(LatteConfig.model_fields) - set(DenseConfig.model_fields) == {*PRUNING, "output_slices"}
    assert set(DenseConfig.model_fields) == set(CoreConfig.model_fields)


@pytest.mark.parametrize("name", PRUNING)
def test_a_field_of_pruning_is_refused_by_name(name: str, tmp_path: Path):
    value, why = PRUNING[name]
    sentence = f"{name} belongs to the latte core; the dense core {why}"
    with refuse(sentence):
        dense(f"{name}={value}")
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"config": {"head_dim": 8, name: value}}))
    with refuse(sentence):
        resolve_config(None, file, None, core=Core.DENSE)
    assert resolve_config(None, file, None) == LatteConfig(head_dim=8, **{name: value})


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("head_dim=66", "head_dim must be a multiple of 4 from 8 to 128, not 66"),
        ("max_keys=4097", "max_keys must be from 1 to 4096, not 4097"),
        ("prob_bits=3", "prob_bits must be from 4 to 16, not 3"),
        ("out_fraction_bits=9", "out_fraction_bits must be from 0 to 8, not 9"),
        ("heads=257", "heads must be from 1 to 256, not 257"),
        ("kv_buffers=0", "kv_buffers must be from 1 to 2, not 0"),
        ("queries_per_scan=17", "queries_per_scan must be from 1 to 16, not 17"),
        ("dot=lean_tables", "dot=lean_tables is now dot=tables with table_dims=3 and adders_per_register=2"),
        (
            "table_queries=3",
            (
                "there are no tables with table_dims=4, table_queries=3 and adders_per_register=1: table_dims, "
                "table_queries, adders_per_register must be 4, 2, 1; 3, 2, 1; 3, 2, 2; 4, 1, 1 or 4, 1, 2"
            ),
        ),
        ("cores=2", "configuration field cores belongs to --core top, not to dense"),
        ("banks=2", f"configuration field must be one of {', '.join(DenseConfig.model_fields)}, not 'banks'"),
    ],
)
def test_bad_values_say_what_would_be_right(setting: str, sentence: str):
    with refuse(sentence):
        dense(setting)
    assert "bank" not in sentence or "banks=2" in setting


@pytest.mark.parametrize("choice", DOT_CHOICES)
def test_every_kind_of_dot_product(choice):
    config = build_config(choice.fields(), DenseConfig)
    assert config.dot_choice == choice
    assert DenseParams.of(config).scan_dot.kind == choice


def test_a_dump_is_a_configuration_file(tmp_path: Path):
    config = DenseConfig(head_dim=12, max_keys=29, queries_per_scan=3, table_queries=1)
    file = tmp_path / "dense_head.json"
    file.write_text(json.dumps({"config": config.model_dump(mode="json")}))
    assert resolve_config(None, file, None, core=Core.DENSE) == config
    assert resolve_config(None, file, ["max_keys=31"], core=Core.DENSE) == config.replace(max_keys=31)


def test_the_hash_is_its_own_and_counts_every_field():
    base = DenseConfig()
    assert base.sha256() != LatteConfig().sha256()
    changes = {
        "head_dim": 16, "max_keys": 63, "causal": True, "prob_bits": 9, "out_fraction_bits": 1, "heads": 5,
        "kv_buffers": 1, "dot": "multipliers", "table_dims": 3, "table_queries": 1, "queries_per_scan": 2,
        "pipeline": "large",
    }  # fmt: skip
    hashes = {base.replace(**{name: value}).sha256() for name, value in changes.items()}
    hashes |= {base.sha256(), base.replace(table_queries=1, adders_per_register=2).sha256()}
    assert len(hashes) == len(changes) + 2
    assert set(changes) | {"adders_per_register"} == set(DenseConfig.model_fields)


def test_parameters_are_of_int8_scores_and_of_the_ports_of_a_latte_head():
    config = DenseConfig(max_keys=577, queries_per_scan=3)
    params = DenseParams.of(config)
    assert (params.widths.low_bits, params.widths.quant_max, params.widths.max_beats) == (0, 127, 577)
    assert (params.block_rows, params_of(config).widths) == (3, params.widths)
    assert port_params(config).widths.threshold_bits == params_of(LatteConfig()).widths.threshold_bits


def test_two_axes():
    assert [(core.datapath, core.wrapper) for core in Core] == [
        (Datapath.LATTE, Wrapper.HEAD), (Datapath.DENSE, Wrapper.HEAD), (Datapath.LATTE, Wrapper.TOP),
    ]  # fmt: skip
    assert {Core.LATTE: LatteConfig, Core.DENSE: DenseConfig, Core.TOP: TopConfig} == CONFIGS
    for core in (Core.LATTE, Core.DENSE):
        check_head_core(core, "latte synth")
    with refuse("latte synth takes one head core: --core must be latte or dense, not top"):
        check_head_core(Core.TOP, "latte synth")
