"""Netlists: what Yosys makes of the emitted Verilog for AMD 7 series, as Verilog that any simulator takes.

The netlist is flat and made by the script of `latte synth`; its ports, taps among them, are those of the core, so that
every bench of the core runs on it and every stage can be compared.
"""

import tempfile
from functools import lru_cache
from pathlib import Path

from latte_hw.synth import script, tools
from latte_hw.synth.targets import target_called
from sim.simulators.xilinx_cells import library

TARGET = "xc7"
_VERILOG, _NETLIST = "core.v", "netlist.v"


@lru_cache(maxsize=4)
def netlist_of(verilog: str, top: str) -> str:
    """The netlist of the module ``top`` and the models of its cells.

    Raises :class:`latte_hw.config.errors.LatteError` when Yosys is missing or fails.
    """
    cells = library()
    with tempfile.TemporaryDirectory(prefix="latte-netlist-") as name:
        folder = Path(name)
        (folder / _VERILOG).write_text(verilog)
        (folder / "run.ys").write_text(
            script.flat_script(target_called(TARGET), _VERILOG, top, dsp=True, netlist=_NETLIST)
        )
        with tools.one_at_a_time():
            tools.run(tools.YOSYS, ["-s", "run.ys"], folder, [_NETLIST])
        return (folder / _NETLIST).read_text() + cells
