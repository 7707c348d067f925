"""The files of two small cores, one with `rst`, one with `aresetn` and packets of layers; of the latter under another
name, too."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from latte_hw.config.top import TopConfig
from latte_hw.emit import top as emit_top
from latte_hw.emit.packages.core_files import CoreFiles

CONFIGURATIONS = {
    "rst": TopConfig(head_dim=8, max_keys=16, keys_per_cycle=2, causal=True),
    "aresetn": TopConfig(
        head_dim=12, max_keys=5, keys_per_cycle=1, kv_buffers=1, out_fraction_bits=3, cores=2, stream_bits=32,
        reset="aresetn", packets="layer",
    ),
}  # fmt: skip


NAME = "other_core"


@pytest.fixture(params=CONFIGURATIONS)
def config(request: pytest.FixtureRequest) -> TopConfig:
    return CONFIGURATIONS[request.param]


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[TopConfig], Path]:
    """The folder with a core's files, written once. Nobody may change them."""

    @cache
    def folder_of(config: TopConfig) -> Path:
        folder = tmp_path_factory.mktemp("core")
        emit_top.generate(config, folder)
        return folder

    return folder_of


@pytest.fixture
def folder(config: TopConfig, generated: Callable[[TopConfig], Path]) -> Path:
    return generated(config)


@pytest.fixture
def rst_folder(generated: Callable[[TopConfig], Path]) -> Path:
    """The files of the core with `rst`."""
    return generated(CONFIGURATIONS["rst"])


@pytest.fixture(scope="session")
def named(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CoreFiles]:
    """The folder with the core with `aresetn` under the name `other_core`, and the names of its files."""
    folder = tmp_path_factory.mktemp("named")
    emit_top.generate(CONFIGURATIONS["aresetn"], folder, NAME)
    return folder, CoreFiles(NAME)
