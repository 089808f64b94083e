"""LockedLabels: labels that keep their pixels on every frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

if TYPE_CHECKING:
    from collections.abc import Iterable


class LockedLabels:
    """Labels whose pixels no run and no undo changes.

    Attributes
    ----------
    changed : Signal
        A label was locked or unlocked.
    """

    changed = Signal()

    def __init__(self) -> None:
        self._labels: frozenset[int] = frozenset()

    @property
    def labels(self) -> frozenset[int]:
        """The labels that are locked."""
        return self._labels

    def lock(self, *labels: int) -> None:
        """Let no run change which pixels have a label.

        Raises
        ------
        ValueError
            If it is 0, the background.
        """
        if 0 in labels:
            raise ValueError("Expected a label other than 0, the background.")
        self._replace(self._labels | {*labels})

    def unlock(self, label: int) -> None:
        """Let runs change a label again."""
        self._replace(self._labels - {label})

    def _replace(self, labels: Iterable[int]) -> None:
        self._labels = frozenset(labels)
        self.changed.emit()
