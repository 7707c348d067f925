"""All estimates of one core as plain values."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from latte_hw.config import CoreConfig, LatteConfig
from latte_hw.config.errors import LatteError
from latte_hw.estimate.area import area_of, load_coefficients
from latte_hw.estimate.clock import on_record
from latte_hw.estimate.cycles import cycles_of
from latte_hw.estimate.memory import memories_of
from latte_hw.estimate.operations import operations_of_run, operations_per_cycle
from latte_hw.estimate.pattern import SEED, Pattern, everything, of_results, typical, visible_keys

MOST_QUERIES = 1024
"""Queries that are worked on unless a number is given: enough for a steady mean."""


@dataclass(frozen=True)
class Request:
    """What to estimate. With ``results``, the keys that a run of the golden model kept; else a typical pattern."""

    config: CoreConfig
    keep: float = 0.15
    queries: int | None = None
    keys: int | None = None
    results: Path | None = None
    clock_mhz: float | None = None

    def patterns(self) -> tuple[list[Pattern], str]:
        """One per head, and where they come from. Raises :class:`LatteError` on numbers that the core does not take."""
        if self.results is not None:
            return of_results(self.results, self.config), f"the keys kept in {self.results.name}"
        most = self.config.max_keys
        keys = most if self.keys is None else self.keys
        queries = min(keys, MOST_QUERIES) if self.queries is None else self.queries
        for name, value in (("--keys", keys), ("--queries", queries)):
            if not 1 <= value <= most:
                raise LatteError(f"{name} must be from 1 to {most}, the most keys of the configuration, not {value}")
        if not isinstance(self.config, LatteConfig):
            return [everything(visible_keys(self.config, queries, keys))], "every valid key: a dense core drops none"
        pattern = typical(self.config, queries, keys, self.keep)
        return [pattern], f"made up: normal scores, evenly spread, seed {SEED}; no data were looked at"


def summarize(request: Request) -> dict[str, Any]:
    """Cycles, operations, memory, area and speed, ready for JSON."""
    began = time.perf_counter()
    config = request.config
    if request.clock_mhz is not None and not request.clock_mhz > 0:
        raise LatteError(f"--clock must be above 0 MHz, not {request.clock_mhz:g}")
    patterns, source = request.patterns()
    heads = [cycles_of(pattern, config) for pattern in patterns]
    valid, kept, queries = (
        sum(getattr(pattern, name) for pattern in patterns) for name in ("valid_keys", "kept_keys", "queries")
    )
    cycles = sum(head.total for head in heads)
    per_query = sum(head.per_query * pattern.queries for head, pattern in zip(heads, patterns, strict=True)) / queries
    needed, possible = operations_of_run(config, valid, kept), operations_per_cycle(config)
    return {
        "core": config.core.value,
        "config": config.model_dump(mode="json"),
        "config_sha256": config.sha256(),
        "pattern": {
            "source": source, "heads": len(patterns), "queries": queries, "keys_seen": valid,
            "kept": kept, "keep_ratio": kept / valid if valid else 0.0,
        },
        "cycles": {
            "counted": "of each head by itself, from its first query to its last output row",
            "heads": [head.total for head in heads], "total": cycles, "per_query": round(per_query, 3),
            "first_query": heads[0].first,
        },
        "operations": {
            "counted": "a product of 4x4 bits is 1, one of 8x8 bits 4",
            "per_cycle": possible, "per_query": round(needed / queries, 1),
            "busy": round(needed / queries / possible / per_query, 4),
        },
        "memory": _memory(config),
        "area": _area(config),
        "speed": _speed(request, per_query),
        "milliseconds": round(1e3 * (time.perf_counter() - began), 1),
    }  # fmt: skip


def _memory(config: CoreConfig) -> dict[str, Any]:
    blocks: Counter[str] = Counter()
    for memory in memories_of(config):
        blocks[memory.block] += memory.bits
    return {"bits": blocks.total(), "blocks": dict(blocks)}


def _area(config: CoreConfig) -> dict[str, Any]:
    if not isinstance(config, LatteConfig):
        return {}
    targets: Sequence[str] = sorted(load_coefficients()["targets"])
    return {target: asdict(area_of(config, target)) for target in targets}


def _speed(request: Request, per_query: float) -> dict[str, Any]:
    mhz, source = request.clock_mhz, "given"
    if mhz is None:
        recorded = on_record(request.config)
        if recorded is None:
            reason = "no clock: none is on record for this configuration; give one with --clock"
            return {"clock_mhz": None, "clock_source": reason, "queries_per_second": None}
        mhz, source = recorded[0], f"place and route, {recorded[1]}"
    return {"clock_mhz": mhz, "clock_source": source, "queries_per_second": round(mhz * 1e6 / per_query)}
