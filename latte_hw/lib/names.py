"""Names of equal members of a component."""


def numbered(name: str, count: int) -> list[str]:
    """Names of `count` equal members: the bare name when there is one, otherwise `name_0`, `name_1` and on."""
    return [name] if count == 1 else [f"{name}_{number}" for number in range(count)]
