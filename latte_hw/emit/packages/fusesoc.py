"""The core as FuseSoC takes it in: a CAPI2 description with the targets default, lint and sim."""

from latte_hw import __version__
from latte_hw.config.top import TopConfig
from latte_hw.emit.packages import core_files as names
from latte_hw.emit.packages.templates import render
from latte_hw.emit.registers.exports import HEADER_NAME, IPXACT_NAME, RDL_NAME

CORE = f"{names.VENDOR}:{names.LIBRARY}:{names.TOP}:{__version__}"
"""Vendor, library, name and version."""


def fusesoc_core(config: TopConfig) -> str:
    """Text of the `.core` file. Its targets need FuseSoC 2 and Edalize's flow API."""
    return render(
        "latte_top.core",
        {
            "heading": names.heading(config, "FuseSoC core", "#"),
            "core": CORE,
            "top": names.TOP,
            "ip_top": names.IP_TOP,
            "testbench": names.TESTBENCH,
            "lint": names.LINT_NAME,
            "header": HEADER_NAME,
            "functions": names.FUNCTIONS_NAME,
            "rdl": RDL_NAME,
            "ipxact": IPXACT_NAME,
            "description": names.DESCRIPTION_NAME,
            "vivado": names.VIVADO_NAME,
        },
    )
