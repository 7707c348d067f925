"""`--preset`, `--config` and `--set`: the configuration they choose, and the sentence for each mistake."""

import json
import re
from pathlib import Path

import pytest

from latte_hw.config import LatteConfig, Split, json_file
from latte_hw.config.errors import LatteError
from latte_hw.config.loading import build_config, resolve_config
from latte_hw.config.presets import PRESETS


def test_default_is_tiny():
    assert resolve_config(None, None, None) == PRESETS["tiny"]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_resolves_to_itself(name):
    assert resolve_config(name, None, []) == PRESETS[name]


def test_settings_change_a_preset():
    config = resolve_config("gpt2", None, ["split=truncate", "keys_per_cycle=16", "causal=false"])
    assert config == PRESETS["gpt2"].replace(split=Split.TRUNCATE, keys_per_cycle=16, causal=False)


def test_the_last_setting_wins():
    assert resolve_config("gpt2", None, ["msb_bits=8", "msb_bits=2"]).msb_bits == 2


def test_settings_change_a_file(tmp_path: Path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"head_dim": 32, "msb_bits": 3}))
    assert resolve_config(None, file, ["msb_bits=5"]) == LatteConfig(head_dim=32, msb_bits=5)


def test_a_generated_description_is_a_configuration_file(tmp_path: Path):
    file = tmp_path / "latte.json"
    file.write_text(json.dumps({"schema": 1, "config": PRESETS["minilm"].model_dump(mode="json")}))
    assert resolve_config(None, file, None) == PRESETS["minilm"]


def refuse(sentence: str):
    """Expect a LatteError of exactly this sentence."""
    return pytest.raises(LatteError, match=f"^{re.escape(sentence)}$")


def test_preset_and_config_exclude_each_other(tmp_path: Path):
    with refuse("give either --preset or --config, not both"):
        resolve_config("gpt2", tmp_path / "config.json", None)


def test_unknown_preset_lists_the_known_ones():
    with refuse(f"preset must be one of {', '.join(PRESETS)}, not 'gpt3'"):
        resolve_config("gpt3", None, None)


def test_unknown_field_lists_the_known_ones():
    fields = ", ".join(LatteConfig.model_fields)
    with refuse(f"configuration field must be one of {fields}, not 'heads_dim'"):
        resolve_config("gpt2", None, ["heads_dim=64"])


def test_setting_without_a_value():
    with refuse("--set takes FIELD=VALUE, not 'causal'"):
        resolve_config("gpt2", None, ["causal"])


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("head_dim=66", "head_dim must be a multiple of 4 from 8 to 128, not 66"),
        ("head_dim=256", "head_dim must be a multiple of 4 from 8 to 128, not 256"),
        ("keys_per_cycle=17", "keys_per_cycle must be from 1 to 16, not 17"),
        ("max_keys=8192", "max_keys must be from 1 to 4096, not 8192"),
        (
            "max_keys=1023",
            (
                "max_keys must be a multiple of keys_per_cycle, because K lies in 8 banks of equal depth: "
                "1023 is not a multiple of 8, 1024 is"
            ),
        ),
        ("msb_bits=1", "msb_bits must be from 2 to 8, not 1"),
        ("prob_bits=17", "prob_bits must be from 4 to 16, not 17"),
        ("out_fraction_bits=-1", "out_fraction_bits must be from 0 to 8, not -1"),
        ("heads=0", "heads must be from 1 to 256, not 0"),
        ("kv_buffers=3", "kv_buffers must be from 1 to 2, not 3"),
        ("queries_per_scan=0", "queries_per_scan must be from 1 to 16, not 0"),
        ("queries_per_scan=17", "queries_per_scan must be from 1 to 16, not 17"),
        ("kept_per_cycle=0", "kept_per_cycle must be from 1 to 2, not 0"),
        ("kept_per_cycle=3", "kept_per_cycle must be from 1 to 2, not 3"),
    ],
)
def test_bad_values_say_what_would_be_right(setting, sentence):
    with refuse(sentence):
        resolve_config("gpt2", None, [setting])


def test_queries_that_share_a_scan_have_one_kept_key_per_cycle_each():
    assert resolve_config("gpt2", None, ["kept_per_cycle=2"]).kept_per_cycle == 2
    sentence = (
        "queries that share a scan have a lane each for one kept key per cycle: "
        "kept_per_cycle=2 and queries_per_scan=3 exclude each other"
    )
    with refuse(sentence):
        resolve_config("gpt2", None, ["kept_per_cycle=2", "queries_per_scan=3"])


def test_a_field_of_later_does_not_change_the_hash_of_a_core_without_it():
    before = "9792ab42381916df"  # of the default configuration, before there was kept_per_cycle
    config = LatteConfig()
    assert config.sha256().startswith(before)
    assert config.replace(kept_per_cycle=2).sha256() != config.sha256()


@pytest.mark.parametrize(
    ("setting", "start", "value"),
    [
        ("split=middle", "split: ", "'middle'"),
        ("reuse=two_term", "reuse: ", "'two_term'"),
        ("head_dim=many", "head_dim: ", "'many'"),
        ("causal=perhaps", "causal: ", "'perhaps'"),
    ],
)
def test_values_of_the_wrong_kind_name_field_and_value(setting, start, value):
    with pytest.raises(LatteError) as caught:
        resolve_config("gpt2", None, [setting])
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith(f"not {value}")
    assert "\n" not in str(caught.value)


def test_unknown_field_in_plain_fields():
    with pytest.raises(LatteError, match=r"^banks: .*not 4$"):
        build_config({"banks": 4}, LatteConfig)


def test_missing_file(tmp_path: Path):
    file = tmp_path / "nothing.json"
    with refuse(f"configuration file {file} cannot be read: No such file or directory"):
        resolve_config(None, file, None)


def test_file_that_is_not_json(tmp_path: Path):
    file = tmp_path / "config.json"
    file.write_text("head_dim: 64")
    with refuse(f"configuration file {file} is not JSON: Expecting value in line 1"):
        resolve_config(None, file, None)


def test_file_that_is_binary(tmp_path: Path):
    file = tmp_path / "config.json"
    file.write_bytes(b"\xff\xfe\x00")
    with refuse(f"configuration file {file} is not JSON: it is not UTF-8 text"):
        resolve_config(None, file, None)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"head_dim": true}', "head_dim must not be a truth value, but is true"),
        ('{"config": {"reuse_table_dims": false}}', "reuse_table_dims must not be a truth value, but is false"),
        ("[" * 100_000, "must not nest its lists and objects so deeply"),
        ('{"a":' * 100_000, "must not nest its lists and objects so deeply"),
        ('{"head_dim": ' + "1" * 5000 + "}", "holds a number of thousands of digits"),
    ],
    ids=["truth value", "truth value in a description", "deep lists", "deep objects", "digits"],
)
def test_files_whose_json_is_no_configuration(tmp_path: Path, content: str, sentence: str):
    file = tmp_path / "config.json"
    file.write_text(content)
    with pytest.raises(LatteError, match=re.escape(sentence)) as raised:
        resolve_config(None, file, None)
    assert str(raised.value).startswith(f"configuration file {file}")


def test_a_file_that_does_not_end_is_refused():
    with refuse("netlist /dev/zero must have at most 1 MiB"):
        json_file.read_json(Path("/dev/zero"), "netlist", 1 << 20)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path):
    file = tmp_path / "config.json"
    file.write_bytes(b'\xef\xbb\xbf{"head_dim": 32}')
    assert resolve_config(None, file, None) == LatteConfig(head_dim=32)


def test_a_wrong_value_is_quoted_in_few_characters():
    with pytest.raises(LatteError) as raised:
        build_config({"head_dim": [[1] * 1000]}, LatteConfig)
    assert len(str(raised.value)) < 150


@pytest.mark.parametrize("content", ["[1, 2]", "3", "null"])
def test_file_that_is_not_an_object(tmp_path: Path, content):
    file = tmp_path / "config.json"
    file.write_text(content)
    with refuse(f"configuration file {file} must hold a JSON object of fields"):
        resolve_config(None, file, None)
