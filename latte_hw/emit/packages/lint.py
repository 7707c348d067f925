"""What a linter may say of emitted Verilog, and why it does not matter."""

from latte_hw.config.top import TopConfig
from latte_hw.emit.packages.core_files import CoreFiles, heading

LINT_WAIVERS = {
    "DECLFILENAME": "all modules of a core lie in one file, on purpose",
    "UNUSEDSIGNAL": "Amaranth names every field of a structure, used or not",
    "PROCASSINIT": "Amaranth gives registers their reset value as initial value too: both hold on an FPGA",
    "WIDTHEXPAND": "Amaranth leaves operands at their own width and lets Verilog extend them, which loses no bit",
}
"""What `verilator -Wall` may say of an emitted file. Everything else is an error."""


def verilator_configuration(config: TopConfig, files: CoreFiles) -> str:
    """Verilator's control file: waives in the core's own file only, whatever else is linted with it."""
    lines = [heading(config, "lint waivers for Verilator"), "`verilator_config\n"]
    for rule, reason in LINT_WAIVERS.items():
        lines.append(f"// {reason[0].upper()}{reason[1:]}.\n")
        lines.append(f'lint_off -rule {rule} -file "*{files.verilog}"\n')
    return "".join(lines)
