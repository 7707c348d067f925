"""What `latte synth --trim` takes away from an ECP5 netlist, between Yosys and nextpnr; it does the same without."""

import json
from dataclasses import asdict
from pathlib import Path

from latte_hw.synth.carry_chains import trim
from latte_hw.synth.ram_addresses import spare


def trim_file(netlist: Path, top: str) -> dict[str, int]:
    """Trim the flat module `top` of a netlist of Yosys's `write_json`, in place; returns how many of each kind."""
    content = json.loads(netlist.read_text())
    trimmed = {**asdict(trim(content, top)), "addresses": spare(content, top)}
    netlist.write_text(json.dumps(content))
    return trimmed
