"""The golden model stands alone: neither Amaranth nor PyTorch is needed to import it."""

import subprocess
import sys
from pathlib import Path

import golden

PROGRAM = """
import importlib, sys
for name in {names!r}:
    importlib.import_module(f"golden.{{name}}")
print(sorted({{"torch", "amaranth", "transformers"}} & set(sys.modules)))
"""


def test_no_heavy_imports() -> None:
    root = Path(golden.__file__).parent
    paths = [
        *root.glob("*.py"),
        *(path for room in ("analysis", "blocks", "files") for path in (root / room).glob("*.py")),
    ]
    names = sorted(".".join(path.relative_to(root).with_suffix("").parts) for path in paths if path.stem != "__init__")
    assert {"attention", "analysis.benchmark", "blocks.head", "commands", "files.inputs", "vectors"} <= set(names)
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(names=names)], capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == "[]"
