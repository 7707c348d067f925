"""Amaranth's conversion to Verilog: the same text whatever Yosys is installed, and in half the time."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amaranth.back import verilog
from amaranth.hdl import Fragment

CHOICE = "AMARANTH_USE_YOSYS"


def verilog_text(subject: Any, name: str, ports: Any) -> str:
    """Verilog of an elaboratable, its top module called `name`; `ports` as :func:`amaranth.back.verilog.convert` has
    them."""
    with _packaged_yosys(), _without_garbage_collection():
        fragment = Fragment.get(subject, None)
        return verilog.convert(fragment, name=name, ports=ports, emit_src=False, strip_internal_attrs=True)


@contextmanager
def _packaged_yosys() -> Iterator[None]:
    """Amaranth prefers a Yosys on PATH, or that `YOSYS` names, to the one it comes with. Each version writes another
    text, and files are to depend on the configuration alone. Who sets Amaranth's variable gets what they ask for."""
    if CHOICE in os.environ:
        yield
        return
    os.environ[CHOICE] = "builtin"
    try:
        yield
    finally:
        del os.environ[CHOICE]


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Conversion makes millions of objects and drops hardly any: looking for cycles among them doubles its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
