"""What a linter may say of emitted Verilog, and why it does not matter."""

from latte_hw.config.top import TopConfig
from latte_hw.emit.packages.core_files import CoreFiles, heading

LINT_WAIVERS = {
    "PROCASSINIT": "Amaranth gives registers their reset value as initial value too: both hold on an FPGA",
    "DECLFILENAME": "all modules of a core lie in one file, on purpose",
    "UNUSEDSIGNAL": "Amaranth names every field of a structure, used or not",
    "WIDTHEXPAND": "Amaranth leaves operands at their own width and lets Verilog extend them, which loses no bit",
}
"""What `verilator -Wall` may say of an emitted file. Everything else is an error. The first is the youngest rule."""

LEAST_VERILATOR = "5.038"
"""The first release that knows all the rules. Debian 12 has 5.006, which runs the testbench wrongly, too."""


def verilator_configuration(config: TopConfig, files: CoreFiles) -> str:
    """Verilator's control file: waives in the core's own file only, whatever else is linted with it.

    Its first line is for a Verilator that is too old: it does not know the rule, stops, and shows the line.
    """
    youngest = next(iter(LINT_WAIVERS))
    sentence = (
        f"this Verilator is older than {LEAST_VERILATOR}, which the core needs; latte env puts a later one on PATH"
    )
    lines = [
        heading(config, "lint waivers for Verilator"),
        "`verilator_config\n",
        "// Matches no file: it is what a Verilator that does not know the rule shows when it stops.\n",
        f'lint_off -rule {youngest} -file "{sentence}"\n',
    ]
    for rule, reason in LINT_WAIVERS.items():
        lines.append(f"// {reason[0].upper()}{reason[1:]}.\n")
        lines.append(f'lint_off -rule {rule} -file "*{files.verilog}"\n')
    return "".join(lines)
