"""Rows of kept keys as the items in which they pass from block to block: see :mod:`latte_hw.core.payloads`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Item = dict[str, Any]


def key_items(
    kept: Sequence[bool], valid_keys: int, lanes: int, kept_per_cycle: int = 1, ends_with_key: bool | None = None
) -> list[Item]:
    """`key`, `kept` and `last` of every item of a row, as the filter sends it: kept keys, lowest first,
    `kept_per_cycle` to an item.

    The row ends with the last kept key if that lies in the row's last beat (or `ends_with_key` says so), or if it is
    alone in its item, otherwise with a mere end marker.
    """
    keys = [key for key in range(valid_keys) if kept[key]]
    last_beat = max(0, valid_keys - 1) // lanes
    if ends_with_key is None:
        ends_with_key = bool(keys) and keys[-1] // lanes == last_beat
    groups = [keys[first : first + kept_per_cycle] for first in range(0, len(keys), kept_per_cycle)]
    if not (ends_with_key or len(keys) % kept_per_cycle):
        groups.append([])
    items = []
    for number, group in enumerate(groups):
        empty = kept_per_cycle - len(group)
        item = {"key": group + [last_beat * lanes] * empty, "kept": [1] * len(group) + [0] * empty}
        plain = item if kept_per_cycle > 1 else {name: values[0] for name, values in item.items()}
        items.append({**plain, "last": int(number == len(groups) - 1)})
    return items


def with_values(item: Item, name: str, values: Any) -> Item:
    """The item with what its keys have in `values`, one for every key of a row."""
    return item | {name: np.asarray(values)[item["key"]].tolist()}


def bare(item: Item) -> Item:
    """An item without what a slot that holds no key does not mean: it has neither key nor value."""
    if isinstance(item["kept"], int):
        return item if item["kept"] else {"kept": 0, "last": item["last"]}
    last = {"last": item["last"]}
    return {
        name: [value * held for value, held in zip(values, item["kept"], strict=True)]
        for name, values in item.items()
        if name != "last"
    } | last


def keys_of(items: Sequence[Item]) -> list[int]:
    """The kept keys of items, in their order."""
    keys = (np.ravel(item["key"])[np.ravel(item["kept"]) == 1] for item in items if np.any(item["kept"]))
    return [int(key) for one in keys for key in one]
