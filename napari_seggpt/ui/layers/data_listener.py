"""DataListener: hears of other data of whichever layers are of interest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari.layers import Layer
    from napari.utils.events import Event


class DataListener:
    """Tells when data are assigned to one of some layers.

    Parameters
    ----------
    heard : callable
        Called with the layer.
    """

    def __init__(self, heard: Callable[[Layer], object]) -> None:
        self._heard = heard
        self._layers: tuple[Layer, ...] = ()

    def listen_to(self, layers: Iterable[Layer]) -> None:
        """Listen to these layers, and to no others any more."""
        for layer in self._layers:
            layer.events.data.disconnect(self._on_data)
        self._layers = tuple(layers)
        for layer in self._layers:
            layer.events.data.connect(self._on_data)

    def _on_data(self, event: Event) -> None:
        self._heard(event.source)
