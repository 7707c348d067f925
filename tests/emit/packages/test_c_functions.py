"""The C functions beside the header give the words of Python's, to the last bit, and refuse what is no number."""

import math
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from latte_hw.config.top import TopConfig
from latte_hw.emit.packages.c_functions import c_functions
from latte_hw.emit.packages.core_files import CoreFiles
from latte_hw.emit.registers.exports import register_files
from latte_hw.params import HeadParams
from latte_hw.system.csr.table import top_registers
from latte_hw.system.csr.view import RegisterView

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")

CONFIGURATIONS = {
    "default": TopConfig(),
    "static": TopConfig(rule="static", split="truncate", msb_bits=2, prob_bits=16, head_dim=12, max_keys=16),
    "whole": TopConfig(msb_bits=8, head_dim=128, prob_bits=4),
}
PROGRAM = """
#include <stdio.h>
#include "latte_program.h"

int main(void) {
    double tau, scale_q, scale_k;
    while (scanf("%lf %lf %lf", &tau, &scale_q, &scale_k) == 3) {
        latte_entry_t entry = {123, 456};
        int refused = latte_entry(tau, scale_q, scale_k, &entry);
        printf("%d %u %u\\n", refused, (unsigned)entry.threshold, (unsigned)entry.scale);
    }
    return 0;
}
"""
STRICT = ["-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]


@pytest.fixture(params=CONFIGURATIONS)
def config(request: pytest.FixtureRequest) -> TopConfig:
    return CONFIGURATIONS[request.param]


@pytest.fixture
def folder(config: TopConfig, tmp_path: Path) -> Path:
    """Both headers and a program that reads triples and writes words."""
    registers = top_registers(config)
    files = CoreFiles()
    (tmp_path / files.header).write_text(register_files(registers)[files.header])
    (tmp_path / files.functions).write_text(c_functions(config, files, registers))
    (tmp_path / "program.c").write_text(PROGRAM)
    return tmp_path


def run(folder: Path, rows: list[tuple[float, float, float]], compiler: list[str]) -> list[tuple[int, ...]]:
    command = [*compiler, *STRICT, f"-I{folder}", str(folder / "program.c"), "-o", str(folder / "program")]
    subprocess.run(command, check=True)
    text = "".join(" ".join(x.hex() if math.isfinite(x) else str(x) for x in row) + "\n" for row in rows)
    done = subprocess.run([folder / "program"], input=text, capture_output=True, text=True, check=True)
    return [tuple(int(word) for word in line.split()) for line in done.stdout.splitlines()]


@cache
def view_of(config: TopConfig) -> RegisterView:
    return RegisterView(top_registers(config))


def expected(config: TopConfig, tau: float, scale_q: float, scale_k: float) -> tuple[int, int, int]:
    """What the driver writes."""
    view, params = view_of(config), HeadParams(config)
    mantissa, shift = params.softmax_scale_register(scale_q, scale_k)
    threshold = view.pack("head_table[0].threshold", {"threshold": params.threshold_register(tau, scale_q, scale_k)})
    return 0, threshold, view.pack("head_table[0].scale", {"mantissa": mantissa, "shift": shift})


def ties_of(config: TopConfig) -> list[float]:
    """Steps of q, that of k being 1, for which a mantissa lies exactly between two whole numbers."""
    found = []
    for odd in range(2**16 + 1, 2**16 + 401, 2):  # twice the mantissa
        for shift in (0, 9):
            scale = odd / 2 / 2.0**shift / factor(config, 1.0)
            found += [x for x in neighbours(scale) if factor(config, x) * 2.0**shift == odd / 2]
    assert len({math.floor(factor(config, x)) % 2 for x in found}) == 2
    return found


def factor(config: TopConfig, scale: float) -> float:
    """What mantissa and shift stand for."""
    logit = scale / math.sqrt(config.head_dim)
    return 2.0 * logit * math.log2(math.e) * 2.0 ** HeadParams(config).widths.exp_fraction_bits


def neighbours(x: float) -> list[float]:
    below, above = math.nextafter(x, 0), math.nextafter(x, math.inf)
    return [math.nextafter(below, 0), below, x, above, math.nextafter(above, math.inf)]


def draw(config: TopConfig) -> list[tuple[float, float, float]]:
    """Numbers of models, of every magnitude, on both sides of steps and of powers of two, and at the ends."""
    rng = np.random.default_rng(3)
    signs = (1, -1) if config.rule == "static" else (1,)
    usual = np.exp(rng.uniform(-6, 3, (2000, 3))).astype(np.float32).tolist()
    every = (10.0 ** rng.uniform(-38, 38, (1000, 3))).tolist()  # the driver takes what float32 holds
    unit = 2 * math.log2(math.e) * 2 ** HeadParams(config).widths.exp_fraction_bits / math.sqrt(config.head_dim)
    near = [
        (1.0, 2.0**power / unit * (1 - 2.0**-bits), 1.0) for power in range(-50, 20) for bits in (15, 16, 17, 18, 40)
    ]
    ties = [(1.0, scale, 1.0) for scale in ties_of(config)]
    step = 4 ** (8 - config.msb_bits) / math.sqrt(config.head_dim)
    whole = [(n * step * scale * (1 + tiny), scale, 1.0) for n in range(40) for scale in (0.01, 0.3, 7.0)
             for tiny in (-1e-16, 0.0, 2e-16)]  # fmt: skip
    ends = [(0.0, 1.0, 1.0), (1.0, 1e-45, 1.0), (1.0, 1e-45, 1e-45), (0.0, 1e-45, 1e-45), (1e38, 1e38, 1e38)]
    return [(sign * tau, q, k) for tau, q, k in (*usual, *every, *near, *ties, *whole, *ends) for sign in signs]


def test_words_are_those_of_the_driver(config: TopConfig, folder: Path) -> None:
    rows = draw(config)
    assert run(folder, rows, ["gcc", "-std=c99"]) == [expected(config, *row) for row in rows]


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_it_is_c_plus_plus_as_well(config: TopConfig, folder: Path) -> None:
    rows = draw(config)[:100]
    compiler = ["g++", "-x", "c++", "-std=c++11"]
    assert run(folder, rows, compiler) == [expected(config, *row) for row in rows]


def test_what_is_no_number_is_refused_and_nothing_is_written(config: TopConfig, folder: Path) -> None:
    bad = [math.nan, math.inf, -math.inf]
    rows = [(x, 1.0, 1.0) for x in bad] + [(1.0, x, 1.0) for x in (*bad, 0.0, -1.0)]
    rows += [(1.0, 1.0, x) for x in (*bad, 0.0, -1.0)] + ([] if config.rule == "static" else [(-1e-9, 1.0, 1.0)])
    assert run(folder, rows, ["gcc", "-std=c99"]) == [(-1, 123, 456)] * len(rows)
