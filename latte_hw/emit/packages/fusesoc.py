"""The core as FuseSoC takes it in: a CAPI2 description with the targets default, lint and sim."""

from latte_hw.config.top import TopConfig
from latte_hw.emit.packages.core_files import CoreFiles, Vlnv, heading
from latte_hw.emit.packages.templates import render


def fusesoc_core(config: TopConfig, files: CoreFiles) -> str:
    """Text of the `.core` file. Its targets need FuseSoC 2 and Edalize's flow API."""
    return render(
        "latte_top.core",
        {
            "heading": heading(config, "FuseSoC core", "#"),
            "core": Vlnv.of(config, files),
            "top": files.top,
            "verilog": files.verilog,
            "wrapper_module": files.wrapper_module,
            "wrapper": files.wrapper,
            "testbench_module": files.testbench_module,
            "testbench": files.testbench,
            "lint": files.lint,
            "header": files.header,
            "functions": files.functions,
            "rdl": files.rdl,
            "ipxact": files.ipxact,
            "description": files.description,
            "vivado": files.vivado,
        },
    )
