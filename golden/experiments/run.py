"""Runs experiments one after the other, and writes what each found as soon as it is found."""

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from golden.experiments import record
from golden.experiments.catalog import Entry
from golden.experiments.context import Context, Job
from golden.train.run import environment
from latte_hw import __version__


def run(
    entries: list[Entry], job: Job, folder: Path, budget: float | None, say: Callable[[str], None]
) -> tuple[list[Path], list[str]]:
    """Run the experiments; the files written, and the names of those that the budget (seconds) left undone.

    No experiment starts once the budget is spent; one that runs then goes on to its end.
    """
    context = Context(job, say)
    started = time.monotonic()
    written: list[Path] = []
    with _few_threads(job):
        for index, entry in enumerate(entries):
            if budget is not None and time.monotonic() - started >= budget:
                return written, [one.name for one in entries[index:]]
            say(f"{entry.name}: {entry.question}")
            written.append(run_one(entry, context, folder))
            say(f"{entry.name}: {written[-1]}, {time.monotonic() - started:.0f} s since the start")
            if context.device.type == "cuda":
                torch.cuda.empty_cache()
    return written, []


@contextmanager
def _few_threads(job: Job) -> Iterator[None]:
    """Within the block, one thread for tiny models: on busy cores, threads that wait for each other cost minutes."""
    before = torch.get_num_threads()
    if job.quick and job.model is None:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_one(entry: Entry, context: Context, folder: Path) -> Path:
    """Run one experiment; its file is written anew with every partial result, marked incomplete until the end."""
    started = time.monotonic()
    context.settings, context.data, context.models = {}, {}, []

    def write(results: dict[str, Any], *, complete: bool = False) -> Path:
        return record.write(folder, _content(entry, context, results, complete, time.monotonic() - started))

    context.keep_partial = lambda results: (write(results), None)[1]
    torch.manual_seed(context.job.seed)
    module = importlib.import_module(f"golden.experiments.{entry.name}")
    return write(module.run(context), complete=True)


def _content(entry: Entry, context: Context, results: dict[str, Any], complete: bool, seconds: float) -> dict[str, Any]:
    where = environment(context.device)
    return {
        "name": entry.name,
        "title": entry.title,
        "question": entry.question,
        "complete": complete,
        "quick": context.job.quick,
        "command": record.command_line(sys.argv[1:]),
        "seed": context.job.seed,
        "model": ", ".join(context.models),
        "data": context.data,
        "counted": record.COUNTED,
        "formulas": record.FORMULAS,
        "settings": {"clip": context.job.clip, **context.settings},
        "device": where["device"],
        "versions": {"latte-hw": __version__, **where["versions"]},
        "seconds": round(seconds, 1),
        "results": results,
    }
