"""Resources per module of the hierarchy, from the cell counts that Yosys's `stat -json` gives for each module."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latte_hw.config.errors import LatteError
from latte_hw.synth.targets import Resources, Target


@dataclass(frozen=True)
class ModuleCount:
    """One module of the hierarchy.

    ``path`` is relative to the top module ("" for itself), ``instances`` counts over the whole design, ``own`` leaves
    the modules inside out and ``total`` takes them in; both are of one instance.
    """

    path: str
    instances: int
    cells: Mapping[str, int]
    own: Resources
    total: Resources

    def as_dict(self) -> dict[str, Any]:
        return {
            "module": self.path,
            "instances": self.instances,
            "own": self.own.as_dict(),
            "total": self.total.as_dict(),
            "cells": dict(self.cells),
        }


def count_modules(stat: Mapping[str, Any], top: str, target: Target) -> list[ModuleCount]:
    """Every module below and including ``top``, parents first.

    Raises :class:`LatteError` on a cell that the target does not know: it must not be left out silently.
    """
    modules = {name.removeprefix("\\"): entry["num_cells_by_type"] for name, entry in stat["modules"].items()}
    instances: dict[str, int] = {}
    totals: dict[str, Resources] = {}

    def total(name: str) -> Resources:
        if name not in totals:
            totals[name] = _own(name, modules, target)
            for cell, number in modules[name].items():
                if cell in modules:
                    totals[name] = totals[name] + total(cell).times(number)
        return totals[name]

    def visit(name: str, number: int) -> None:
        instances[name] = instances.get(name, 0) + number
        for cell, inside in sorted(modules[name].items()):
            if cell in modules:
                visit(cell, number * inside)

    if top not in modules:
        raise LatteError(f"Yosys's statistics have no module {top}")
    visit(top, 1)
    return [
        ModuleCount(
            path=name.removeprefix(top).removeprefix("."),
            instances=number,
            cells={cell: n for cell, n in sorted(modules[name].items()) if cell not in modules},
            own=_own(name, modules, target),
            total=total(name),
        )
        for name, number in instances.items()
    ]


def _own(name: str, modules: Mapping[str, Mapping[str, int]], target: Target) -> Resources:
    own = Resources()
    for cell, number in modules[name].items():
        if cell not in modules:
            occupied = target.occupied(cell)
            if occupied is None:
                raise LatteError(f"module {name} holds {number} cells {cell}, which {target.name} does not count yet")
            own = own + occupied.times(number)
    return own
