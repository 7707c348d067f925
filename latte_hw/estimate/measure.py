"""Synthesis of many small cores, for the area model to be fitted to and held against.

`python -m latte_hw.estimate.measure` runs what is missing in `docs/results/estimate-synthesis.json`: a core is known by
its target and by the hash of its Verilog, so that a changed data path is measured again.
"""

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from latte_hw.config import Dot, LatteConfig, Reuse, Rule, Split
from latte_hw.config.errors import LatteError
from latte_hw.host import terminal

RESULTS = Path("docs/results/estimate-synthesis.json")
TARGETS = ("xc7", "ecp5-85k")
DEEPEST = 2
"""Modules this deep below the core are kept."""

FIGURES = ("lut", "lut_ram", "ff", "dsp", "block_ram")
"""What is kept of each, in this order."""

_BASE = LatteConfig(head_dim=8, max_keys=32, keys_per_cycle=2, causal=True, heads=4)

CORES: tuple[dict[str, Any], ...] = (
    {},
    {"head_dim": 16, "max_keys": 64, "keys_per_cycle": 4},
    {"keys_per_cycle": 8, "max_keys": 128, "table_queries": 1},
    {"head_dim": 12, "keys_per_cycle": 1, "max_keys": 48, "causal": False, "kv_buffers": 1},
    {"head_dim": 16, "prob_bits": 12, "out_fraction_bits": 8, "reuse": Reuse.EXACT},
    {"head_dim": 12, "msb_bits": 3, "split": Split.TRUNCATE, "rule": Rule.STATIC, "keys_per_cycle": 3, "max_keys": 96},
    {"head_dim": 8, "msb_bits": 8, "max_keys": 128, "keys_per_cycle": 2},
    {"head_dim": 12, "dot": Dot.MULTIPLIERS, "keys_per_cycle": 2, "max_keys": 64},
    {"head_dim": 8, "dot": Dot.MULTIPLIERS, "keys_per_cycle": 3, "max_keys": 96},
    {"head_dim": 24, "max_keys": 512, "table_dims": 3, "out_fraction_bits": 4},
    {"head_dim": 8, "keys_per_cycle": 4, "max_keys": 64},
    {"head_dim": 12, "keys_per_cycle": 2, "max_keys": 64},
    {"head_dim": 16, "keys_per_cycle": 2, "max_keys": 128},
    {"head_dim": 20, "keys_per_cycle": 4, "max_keys": 64},
    {"head_dim": 24, "keys_per_cycle": 1, "max_keys": 64},
    {"head_dim": 16, "keys_per_cycle": 4, "max_keys": 1024},
    {"head_dim": 8, "keys_per_cycle": 16, "max_keys": 512},
    {"head_dim": 8, "keys_per_cycle": 1, "max_keys": 256, "causal": False, "heads": 64},
    {"head_dim": 32, "keys_per_cycle": 2, "max_keys": 512, "table_queries": 1},
    {"head_dim": 16, "keys_per_cycle": 4, "max_keys": 128, "table_queries": 1},
    {"head_dim": 12, "keys_per_cycle": 6, "max_keys": 96, "table_dims": 3},
    {"head_dim": 20, "keys_per_cycle": 2, "max_keys": 64, "table_dims": 3},
    {"head_dim": 16, "keys_per_cycle": 3, "max_keys": 96, "rule": Rule.STATIC, "causal": False},
    {"head_dim": 12, "reuse": Reuse.EXACT, "keys_per_cycle": 4, "max_keys": 32},
    {"head_dim": 16, "split": Split.TRUNCATE, "keys_per_cycle": 2, "max_keys": 64, "prob_bits": 6},
    {"head_dim": 8, "prob_bits": 12, "out_fraction_bits": 4, "max_keys": 128},
    {"head_dim": 20, "out_fraction_bits": 8, "keys_per_cycle": 2, "max_keys": 32},
    {"head_dim": 12, "kv_buffers": 1, "keys_per_cycle": 4, "max_keys": 512, "heads": 32},
    {"head_dim": 8, "queries_per_scan": 2, "keys_per_cycle": 2, "max_keys": 64},
    {"head_dim": 12, "msb_bits": 5, "keys_per_cycle": 2, "max_keys": 64},
)


def configurations() -> list[LatteConfig]:
    """All cores, small ones first."""
    cores = [_BASE.replace(**changes) for changes in CORES]
    return sorted(cores, key=lambda core: core.queries_per_scan * core.head_dim * (core.keys_per_cycle + 4))


def load(path: Path = RESULTS) -> list[dict[str, Any]]:
    """What has been measured. Raises :class:`LatteError` when the file is missing."""
    try:
        return list(json.loads(path.read_text())["runs"])
    except OSError:
        raise LatteError(f"{path} is missing: python -m latte_hw.estimate.measure makes it, in half an hour") from None


def _run(config: LatteConfig, target: str, verilog_sha: str) -> dict[str, Any]:
    from latte_hw.synth import flow
    from latte_hw.synth.targets import target_called

    began = time.perf_counter()
    result = flow.synthesise(flow.Job("measure", config, target_called(target)), "", lambda _: None)
    modules = {
        module["module"]: {part: [module[part][name] for name in FIGURES] for part in ("own", "total")}
        for module in result["modules"]
        if module["module"].count(".") <= DEEPEST
    }
    return {
        "target": target, "config": config.model_dump(mode="json"), "verilog_sha256": verilog_sha,
        "yosys": result["versions"]["yosys"], "seconds": round(time.perf_counter() - began, 1), "modules": modules,
    }  # fmt: skip


def _sha_of(config: LatteConfig) -> str:
    from latte_hw.emit.head import build_head
    from latte_hw.synth.harness import to_verilog

    return hashlib.sha256(to_verilog(build_head(config), "head").encode()).hexdigest()


def main() -> None:
    """Run what is missing, one after the other; every run is written at once. Run it in the repository's root."""
    known = {(run["target"], run["verilog_sha256"]): run for run in (load() if RESULTS.exists() else [])}
    runs: list[dict[str, Any]] = []
    for config in configurations():
        sha = _sha_of(config)
        for target in TARGETS:
            if (target, sha) not in known:
                known[target, sha] = _run(config, target, sha)
                _write([*known.values()])
            runs.append(known[target, sha])
            total = runs[-1]["modules"]["head"]["total"]
            print(
                f"{len(runs)}: {target} {runs[-1]['seconds']} s, {dict(zip(FIGURES, total, strict=True))}",
                file=sys.stderr,
            )
    _write(runs)  # without those of cores that are no longer asked for


def _write(runs: list[dict[str, Any]]) -> None:
    RESULTS.write_text(lines({"command": "python -m latte_hw.estimate.measure", "runs": runs}))


def lines(content: dict[str, Any]) -> str:
    """Short JSON with a line for each core."""
    return json.dumps(content, separators=(",", ":")).replace('{"target"', '\n{"target"') + "\n"


if __name__ == "__main__":
    terminal.run(main, "latte_hw.estimate.measure")
