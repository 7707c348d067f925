"""Fills the parts of `docs/estimate.md` that are measured."""

import re
from pathlib import Path

from latte_hw.errors import LatteError

PAGE = Path("docs/estimate.md")


def fill(part: str, text: str, page: Path = PAGE) -> None:
    """Write ``text`` between the markers of a part. Raises :class:`LatteError` when the page has no such part."""
    before = page.read_text()
    begin, end = (f"<!-- {edge} {part} -->" for edge in ("begin", "end"))
    if before.count(begin) != 1 or before.count(end) != 1:
        raise LatteError(f"{page} must have one {begin} and one {end}")
    after = re.sub(f"{begin}.*?{end}", lambda _: f"{begin}{text}{end}", before, flags=re.DOTALL)
    page.write_text(after)


def area_table(worst: dict[str, dict[str, float]]) -> str:
    """Greatest errors by target, as Markdown."""
    lines = ["", "| target | cores | LUT | FF | DSP | block RAM |", "|---|---:|---:|---:|---:|---:|"]
    for target, one in worst.items():
        errors = " | ".join(f"{100 * one[name]:.1f} %" for name in ("lut", "ff", "dsp", "block_ram"))
        lines.append(f"| `{target}` | {one['configurations']:g} | {errors} |")
    return "\n".join([*lines, ""])
