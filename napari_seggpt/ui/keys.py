"""The keys of the dock, bound where napari has none of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.key_bindings import coerce_keybinding
from qtpy.QtGui import QKeySequence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SHIFT = "\N{UPWARDS WHITE ARROW}"
KEYS: dict[str, str] = {
    "frame": "Shift+S",
    "propagate": "Shift+D",
    "reference": "Shift+R",
    "approve": "Shift+K",
    "next": "Shift+N",
    "previous": "Shift+B",
    "undo": "Shift+U",
}


def key_text(name: str) -> str:
    """Return a key as this computer writes it."""
    return str(
        QKeySequence(KEYS[name]).toString(QKeySequence.SequenceFormat.NativeText)
    )


def with_key(text: str, name: str) -> str:
    """Return the text of a button with its key, short as napari writes keys."""
    return f"{text} [{key_text(name).replace('Shift+', SHIFT)}]"


class KeyBindings:
    """Binds keys on a viewer or layer, and releases them.

    A key that is taken on it, by napari or another plugin, is left alone: the buttons
    serve.

    Parameters
    ----------
    provider : KeymapProvider
        A viewer or layer.
    actions : mapping of str to callable
        What to do, by the names of `KEYS`.
    """

    def __init__(
        self, provider: Any, actions: Mapping[str, Callable[[], object]]
    ) -> None:
        self._keymap = provider.keymap
        self._bound: dict[Any, Callable[[Any], None]] = {}
        self.taken: list[str] = []  # names of keys that were left alone
        classes = [getattr(c, "class_keymap", {}) for c in type(provider).__mro__]
        for name, action in actions.items():
            key = coerce_keybinding(KEYS[name].replace("+", "-"))
            if any(key in keymap for keymap in (self._keymap, *classes)):
                self.taken.append(name)
            else:
                self._keymap[key] = self._bound[key] = _ignoring_provider(action)

    def release(self) -> None:
        """Take the keys away, unless somebody else has bound them since."""
        for key, function in self._bound.items():
            if self._keymap.get(key) is function:
                del self._keymap[key]
        self._bound = {}


def _ignoring_provider(action: Callable[[], object]) -> Callable[[Any], None]:
    def act(provider: Any) -> None:
        action()

    return act
