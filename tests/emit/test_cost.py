"""What emission costs: processor time with Yosys's, and memory at its peak."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LARGEST = {"head_dim": 128, "max_keys": 4096, "keys_per_cycle": 16, "kept_per_cycle": 2}
MEASURE = """
import resource, sys
from latte_hw.emit import head as emit
from latte_hw.config import LatteConfig
text = emit.to_verilog(emit.build_head(LatteConfig(**eval(sys.argv[1]))))
assert text.endswith("endmodule\\n")
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(sum(one.ru_utime + one.ru_stime for one in used), int(peak.split()[1]) / 1024)
"""
"""The peak is that of this process, which is above Yosys's and has released most of it when Yosys runs. `ru_maxrss`
would count what the process was forked from."""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize(
    ("fields", "seconds", "megabytes"),
    [
        pytest.param({"head_dim": 64, "max_keys": 1024, "keys_per_cycle": 8}, 12, 250, id="a head of GPT-2"),
        pytest.param(LARGEST, 30, 550, marks=pytest.mark.slow, id="the largest core"),
    ],
)
def test_emission_stays_within_its_bars(fields: dict[str, int], seconds: float, megabytes: float) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, repr(fields)], check=True, cwd=ROOT, capture_output=True, text=True
    )
    used, peak = map(float, done.stdout.split())
    assert used <= seconds, f"{used:.1f} s of CPU, {peak:.0f} MB"
    assert peak <= megabytes, f"{used:.1f} s of CPU, {peak:.0f} MB"
