"""Closing: what is done once when the dock is closed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Closing:
    """What is done once when the dock is closed, in whichever way that happens."""

    def __init__(self) -> None:
        self.is_done = False
        self._acts: list[Callable[[], object]] = []

    def add(self, act: Callable[[], object]) -> None:
        """Have something else done at the end, after what was added before."""
        self._acts.append(act)

    def __call__(self, _: object = None) -> None:
        """Do all of it, unless it was done."""
        # Where dock and viewer are collected together, Python may have emptied this
        # object before Qt says that the dock is destroyed: nothing is left to do then.
        acts, self._acts = getattr(self, "_acts", []), []
        self.is_done = True
        for act in acts:
            with suppress(RuntimeError):  # Qt has deleted the widget before
                act()
