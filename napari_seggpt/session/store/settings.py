"""Settings as plain values that a file can hold, and back."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

T = TypeVar("T")


def restored(default: T, found: dict[str, Any]) -> T:
    """Return settings with the values that were found, where they are valid.

    Names and values that this version does not know are left out.

    Parameters
    ----------
    default : dataclass
        What is taken for all that was not found.
    found : dict
        As `dataclasses.asdict` makes it, perhaps read from JSON.
    """
    settings: Any = default
    for each in fields(settings):
        if each.name not in found:
            continue
        value = found[each.name]
        present = getattr(settings, each.name)
        if is_dataclass(present):
            value = restored(present, value if isinstance(value, dict) else {})
        elif isinstance(value, list):
            value = tuple(value)
        with suppress(ValueError):
            settings = replace(settings, **{each.name: value})
    return settings
