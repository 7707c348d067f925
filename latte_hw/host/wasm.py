"""Where programs that come as WebAssembly keep their translation for this machine, which takes a minute to make."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from latte_hw.config.errors import LatteError
from latte_hw.host.build_folder import ready_folder, sentences, user_cache

_TOOLS = ("wasmtime", "YoWASP")
"""Folders that they make in the user's cache folder."""


def translation_environment() -> dict[str, str]:
    """What to add to a program's environment so that it can keep its translation; as a rule nothing.

    For a user without a cache folder that can be written, the translation is kept in the build folder. Raises
    :class:`LatteError` when that cannot be written either.
    """
    if _usable():
        return {}
    folder = ready_folder() / "wasm"
    with sentences(folder):
        folder.mkdir(exist_ok=True)
    return dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), str(folder))


@contextmanager
def translations() -> Iterator[None]:
    """Within the block, :func:`translation_environment` holds for this process and what it starts."""
    added = translation_environment()
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _usable() -> bool:
    """Whether the folders can be written, or made."""
    try:
        for name in _TOOLS:
            folder = user_cache() / name
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                return False
    except (LatteError, OSError):
        return False
    return True
