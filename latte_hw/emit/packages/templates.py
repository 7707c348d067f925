"""Files that are the same for every core but for a few values, kept as files in their own language beside this one."""

import re
from importlib import resources

_PLACE = re.compile(r"@\{(\w+)\}")


def render(name: str, values: dict[str, object]) -> str:
    """The template `name` with every `@{key}` replaced.

    KeyError for a key without a value, or a value without a place.
    """
    text = resources.files(__package__).joinpath(name).read_text()
    if unused := values.keys() - set(_PLACE.findall(text)):
        raise KeyError(f"{name} has no place for {', '.join(sorted(unused))}")
    return _PLACE.sub(lambda place: str(values[place.group(1)]), text)
