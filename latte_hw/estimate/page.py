"""Fills the parts of `docs/estimate.md` that are measured."""

from pathlib import Path

from latte_hw.emit.generated_section import with_part

PAGE = Path("docs/estimate.md")


def fill(part: str, text: str, page: Path = PAGE) -> None:
    """Write ``text`` between the markers of a part. Raises :class:`LatteError` when the page has no such part."""
    page.write_text(with_part(page.read_text(), part, text))


def area_table(worst: dict[str, dict[str, float]]) -> str:
    """Greatest errors by target, as Markdown."""
    lines = ["", "| target | cores | LUT | FF | DSP | block RAM |", "|---|---:|---:|---:|---:|---:|"]
    for target, one in worst.items():
        errors = " | ".join(f"{100 * one[name]:.1f} %" for name in ("lut", "ff", "dsp", "block_ram"))
        lines.append(f"| `{target}` | {one['configurations']:g} | {errors} |")
    return "\n".join([*lines, ""])
