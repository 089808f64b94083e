"""A network whose weights stay as they are while something else learns through it."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_seggpt.model.seggpt import SegGPT


@contextmanager
def frozen(model: SegGPT, *, checkpointing: bool) -> Iterator[None]:
    """Freeze a network, in evaluation mode; afterwards its weights may learn again.

    With `checkpointing` a block keeps its inputs only, and computes what lies between
    again for the gradient: a third more time, and a fraction of the memory.
    """
    learning = [x for x in model.parameters() if x.requires_grad]
    model.eval().requires_grad_(False)
    if checkpointing:
        for block in model.blocks:
            again = partial(checkpoint, block.forward, use_reentrant=False)
            block.forward = again
    try:
        yield
    finally:
        if checkpointing:
            for block in model.blocks:
                del block.forward  # the class has its own
        for parameter in learning:
            parameter.requires_grad_(True)
