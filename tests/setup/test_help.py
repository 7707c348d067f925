"""What `latte` says of itself: its version, the fields of a configuration, an example, the preset that fits."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import typer
from pydantic import ValidationError

from golden.files.stimuli import random_trace
from latte_hw import __version__
from latte_hw.cli import main as cli
from latte_hw.cli.field_help import field_lines
from latte_hw.config import LatteConfig
from latte_hw.config.presets import preset
from latte_hw.config.top import TopConfig
from tests.setup.conftest import Run, refused

APP = typer.main.get_command(cli.app)
PLAIN = {name: command for name, command in APP.commands.items() if not hasattr(command, "commands")}
OF_EXPERIMENTS = {f"experiments {name}": command for name, command in APP.commands["experiments"].commands.items()}
COMMANDS = PLAIN | OF_EXPERIMENTS
CONFIGURED = [name for name, command in COMMANDS.items() if any("--set" in option.opts for option in command.params)]


def test_version(latte: Run):
    done = latte("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rf"latte {__version__}, Amaranth \d+\.\d+\.\d+\S*, Python 3\.\d+\.\d+\S*\n", done.stdout)


def test_the_commands_with_a_configuration():
    assert {"generate", "golden", "simulate", "vectors", "train", "estimate", "synth"} == set(CONFIGURED)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_that_it_takes(name: str):
    command = COMMANDS[name]
    found = re.match(r"Example: latte (.*)", command.epilog or "")
    assert found, command.epilog
    words = shlex.split(found.group(1))
    assert " ".join(words[: len(name.split())]) == name
    command.make_context(name, words[len(name.split()) :])  # raises on an option or a value that it does not know


@pytest.mark.parametrize("name", CONFIGURED)
def test_help_lists_every_field_with_its_default(name: str):
    text = COMMANDS[name].epilog or ""
    kind = TopConfig if name == "generate" else LatteConfig
    for field, info in kind.model_fields.items():
        assert re.search(rf"^ *{field}=\S+: {re.escape(info.description)}", text, re.MULTILINE), field


def test_help_shows_them(latte: Run):
    text = latte("generate", "--help", COLUMNS=300).stdout
    shown = re.findall(r"^ *(\w+=\S+: .*\S) *$", text, re.MULTILINE)
    assert shown == [line.strip() for line in field_lines(TopConfig).splitlines()]
    assert re.search("^ *Example: latte generate", text, re.MULTILINE)


@pytest.mark.parametrize("kind", [LatteConfig, TopConfig])
def test_the_range_of_a_number_is_the_one_that_is_checked(kind: type[LatteConfig]):
    """Every number names its range; both ends of it are taken, and nothing beyond."""
    numbers = [name for name, info in kind.model_fields.items() if info.annotation is int and name != "stream_bits"]
    base = kind(head_dim=8, max_keys=16, keys_per_cycle=1, queries_per_scan=1, heads=4)
    for name in numbers:
        found = re.search(r"(\d+) (?:to|or) (\d+)", str(kind.model_fields[name].description))
        assert found, name
        low, high = map(int, found.groups())
        if (kind, name) == (TopConfig, "heads"):
            high = 128  # one bank of the table
        for value in (low, high):
            changes = {"keys_per_cycle": {"max_keys": value}, "adders_per_register": {"table_dims": 3}}.get(name, {})
            assert getattr(base.replace(**{name: value}, **changes), name) == value
        for value in (low - 1, high + 1):
            with pytest.raises(ValidationError, match=name):
                base.replace(**{name: value})


def test_the_names_of_a_choice_are_listed():
    lines = field_lines(LatteConfig)
    assert "split=balanced: How int8 is cut into high and low part. One of truncate, balanced." in lines
    assert "stream_bits" not in lines
    assert [line.split("=")[0].strip() for line in field_lines(TopConfig, besides=LatteConfig).splitlines()] == [
        "cores", "stream_bits", "reset", "packets",
    ]  # fmt: skip


# --- the preset that nobody chose -------------------------------------------------------------------------------------


@pytest.fixture
def large(tmp_path: Path) -> Path:
    np.savez(tmp_path / "large.npz", **random_trace(preset("smollm2-135m"), 1, 2, 1, 6, 577))
    return tmp_path / "large.npz"


@pytest.mark.parametrize("command", ["golden", "simulate", "vectors"])
def test_tiny_is_named_where_it_does_not_fit(command: str, latte: Run, large: Path):
    done = latte(command, large, "-o", "out")
    refused(
        done,
        "q has head_dim 64; no --preset given, so `tiny` (8) was taken: use --preset smollm2-135m (or gpt2, "
        "deit-b16-384, long-4096)",
    )
    done = latte(command, large, "-o", "out", "--set", "head_dim=64", "--set", "max_keys=512")
    refused(done, "k has 577 tokens; no --preset given, so `tiny` (512 at most) was taken: use --preset smollm2-135m")
    if command != "golden":  # what follows is the same for all
        return
    done = latte(command, large, "-o", "out", "--preset", "minilm")
    refused(done, "q must have head_dim 32 as configured, not 64")


def test_tiny_is_named_where_nothing_fits(latte: Run, tmp_path: Path):
    config = LatteConfig(head_dim=24, max_keys=32, heads=4)
    np.savez(tmp_path / "odd.npz", **random_trace(config, 1, 2, 1, 6, 9))
    refused(latte("golden", "odd.npz", "-o", "out.npz"), "use --set or --config, since no preset has this size")


def test_tiny_is_named_by_commands_without_tensors(latte: Run):
    refused(latte("vectors", "--tokens", 33, "-o", "out"), "the trace has 33 tokens; no --preset given, so `tiny`")
    refused(latte("estimate", "--keys", 4000), "the head has 4000 tokens", "use --preset long-4096\n")
