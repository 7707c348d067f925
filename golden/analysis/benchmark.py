"""How fast the golden model is, beside PyTorch's float32 attention, and how much memory a long context takes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from golden.attention import attention
from golden.files.stimuli import random_trace
from golden.files.tensors import from_arrays
from latte_hw.config.presets import preset

_MEMORY_PROGRAM = """
from golden.attention import attention
from golden.files.stimuli import random_trace
from golden.files.tensors import from_arrays
from latte_hw.config.presets import preset

config = preset("long-4096").replace(causal=False)
trace = random_trace(config, 1, 1, 1, 64, 4096)
trace["q"] = trace["q"].repeat(64, axis=1)  # 4096 queries, without building a trace's own full score matrix
attention(from_arrays(trace, config), config)
# Not getrusage's ru_maxrss: on Linux that starts with what the parent process had when it forked.
status = open("/proc/self/status").read()
print(status.partition("VmHWM:")[2].split()[0])
"""


def measure(repeats: int = 9) -> dict[str, object]:
    """Time all stages, quantisation included, on DeiT-B16's attention (12 heads × 577 × 577 × 64).

    The two are timed in turns and the medians compared, so that a busy machine slows both. Needs PyTorch.

    Returns:
        ``golden_ms``, ``torch_ms`` (medians), ``ratio`` (golden over torch), ``keep_ratio`` of the trace, ``cores``,
        ``torch_threads``, ``repeats`` and ``peak_mib_4096``.
    """
    import torch  # here only: nothing else of the golden model needs it

    config = preset("deit-b16-384")
    trace = random_trace(config, 0, 12, 12, 577, 577)
    q, k, v = (torch.from_numpy(np.ascontiguousarray(trace[name]))[None] for name in ("q", "k", "v"))
    cores = os.cpu_count() or 1
    torch.set_num_threads(cores)

    def run_golden() -> None:
        attention(from_arrays(trace, config), config)

    def run_torch() -> None:
        torch.nn.functional.scaled_dot_product_attention(q, k, v)

    golden_seconds, torch_seconds = _alternate(run_golden, run_torch, repeats)
    counters = attention(from_arrays(trace, config), config)["counters"].sum(axis=0)
    return {
        "shape": "12 heads x 577 queries x 577 keys x 64",
        "golden_ms": round(1e3 * golden_seconds, 2),
        "torch_ms": round(1e3 * torch_seconds, 2),
        "ratio": round(golden_seconds / torch_seconds, 2),
        "keep_ratio": round(int(counters[2]) / int(counters[0]), 4),
        "cores": cores,
        "torch_threads": torch.get_num_threads(),
        "repeats": repeats,
        "peak_mib_4096": round(peak_memory_mib(), 1),
    }


def peak_memory_mib() -> float:
    """Peak resident memory, in MiB, of a fresh process that runs one 4096×4096 head (everything it loads included)."""
    program = [sys.executable, "-c", _MEMORY_PROGRAM]
    finished = subprocess.run(program, capture_output=True, text=True, check=True)
    return int(finished.stdout) / 1024


def _alternate(first: Callable[[], None], second: Callable[[], None], repeats: int) -> tuple[float, float]:
    """Median seconds of each, run in turns after one warm-up."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeats + 1):
        for function, measured in zip((first, second), seconds, strict=True):
            start = time.perf_counter()
            function()
            if turn:
                measured.append(time.perf_counter() - start)
    return median(seconds[0]), median(seconds[1])
