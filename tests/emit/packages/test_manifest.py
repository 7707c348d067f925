"""The manifest says what lies beside it, how to make it again, and comes with all of it or not at all."""

import hashlib
import json
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import latte_hw.cli.main
from latte_hw.config.errors import LatteError
from latte_hw.config.top import TopConfig
from latte_hw.emit import head as emit
from latte_hw.emit import top as emit_top
from latte_hw.emit.packages.core_files import CoreFiles
from latte_hw.emit.packages.templates import render

PURPOSES = CoreFiles().purposes


def manifest_of(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def test_it_has_every_other_file_with_its_hash_and_size(folder: Path) -> None:
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}
    expected = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in found.items()}
    assert manifest_of(folder)["files"] == expected
    assert [*manifest_of(folder)["files"], "manifest.json"] == list(PURPOSES)


def test_it_names_the_configuration_and_the_tools(folder: Path, config: TopConfig) -> None:
    manifest = manifest_of(folder)
    assert manifest["config_sha256"] == config.sha256()
    assert manifest["tools"].keys() == {
        "yosys", "amaranth", "systemrdl-compiler", "peakrdl-cheader", "peakrdl-ipxact",
    }  # fmt: skip
    assert manifest["tools"]["yosys"] in (folder / "latte_top.v").read_text()
    assert all(any(letter.isdigit() for letter in version) for version in manifest["tools"].values())


def test_its_command_makes_the_same_files_again(folder: Path, tmp_path: Path, monkeypatch) -> None:
    description = folder / "latte_top.json"
    shutil.copy(description, tmp_path)
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(manifest_of(folder)["command"])
    assert program == "latte"
    result = CliRunner().invoke(latte_hw.cli.main.app, arguments)
    assert result.exit_code == 0, result.output
    for name, purpose in PURPOSES.items():
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name
        assert name in result.output
        if name not in ("latte_top.v", "latte_top.json"):  # of which the command says more
            assert f"{name}: {purpose}\n" in result.output


def test_a_name_is_part_of_its_command(named: tuple[Path, CoreFiles]) -> None:
    folder, files = named
    manifest = json.loads((folder / files.manifest).read_text())
    assert manifest["command"] == "latte generate --core top --config other_core.json --name other_core -o ."
    assert [*manifest["files"], files.manifest] == list(files.purposes)


def test_nothing_is_written_when_the_last_text_fails(config: TopConfig, tmp_path: Path, monkeypatch) -> None:
    def fail(*_: object) -> str:
        raise LatteError("no manifest today")

    monkeypatch.setattr(emit_top, "manifest", fail)
    with pytest.raises(LatteError, match="no manifest today"):
        emit_top.generate(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_it_is_the_last_file_to_come(tmp_path: Path, monkeypatch) -> None:
    """So that a run that was cut off leaves the old manifest, or none."""
    came: list[str] = []
    replace = emit.os.replace
    monkeypatch.setattr(emit.os, "replace", lambda old, new: (came.append(Path(new).name), replace(old, new)))
    emit_top.generate(TopConfig(head_dim=8, max_keys=16), tmp_path)
    assert came == list(PURPOSES)


def test_a_template_takes_exactly_its_values() -> None:
    with pytest.raises(KeyError, match=r"latte_top\.core has no place for surplus"):
        render("latte_top.core", {"surplus": 1})
    with pytest.raises(KeyError):
        render("latte_top.core", {})
