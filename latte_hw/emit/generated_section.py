"""Pages of which a part is made anew, between markers that Markdown does not show."""

import re

from latte_hw.config.errors import LatteError


def with_part(page: str, part: str, text: str) -> str:
    """The page with ``text`` between the markers of a part. Raises :class:`LatteError` when it has no such part."""
    begin, end = (f"<!-- {edge} {part} -->" for edge in ("begin", "end"))
    if page.count(begin) != 1 or page.count(end) != 1:
        raise LatteError(f"the page must have one {begin} and one {end}")
    return re.sub(f"{begin}.*{end}", lambda _: f"{begin}{text}{end}", page, flags=re.DOTALL)
