"""Settings as plain values that a file can hold, and back."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, get_type_hints

from napari_seggpt.untrusted import as_type

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
    hints = get_type_hints(type(settings))
    for each in fields(settings):
        if each.name not in found:
            continue
        value = found[each.name]
        present = getattr(settings, each.name)
        try:
            if is_dataclass(present):
                value = restored(present, value if isinstance(value, dict) else {})
            else:
                value = as_type(value, hints[each.name])
            settings = replace(settings, **{each.name: value})
        except (TypeError, ValueError):
            continue
    return settings
