"""Which of the two type embeddings a network is used with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_seggpt.model.config import SegGPTConfig
    from napari_seggpt.settings import SegType, SegTypeChoice


def choose_seg_type(wanted: SegTypeChoice, config: SegGPTConfig) -> SegType:
    """Return the wanted embedding, or for "auto" the one that the network expects.

    The official code takes "instance" unless it is told otherwise. Our own networks
    learned both, and their figures are those of "semantic".
    """
    if wanted != "auto":
        return wanted
    return "instance" if config.decoder == "paint" else "semantic"
